"""Check a database and write the table of its recordings."""

import json
from pathlib import Path

import click

from pipeline import paths
from pipeline.databases import readers
from pipeline.databases.profiles import profile_of
from pipeline.databases.task import check_subjects, make_task
from pipeline.errors import InputError
from pipeline.params import Database, load_params
from pipeline.storage.digests import sha256
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Check every annotated clip of DATABASE; all defects are reported at once."""
    params = load_params(paths.PARAMS)
    if params.train.compile:  # the first stage that can say that it is impossible: training comes last
        from pipeline.device import resolve_device  # PyTorch, which this stage needs for nothing else
        from pipeline.learning.compiler import check_compiler

        check_compiler(resolve_device(params.runtime.device))
    settings = params.databases[database]
    annotated = _annotation(database, settings)
    reading = readers.read(database, Path(settings.raw), settings.exclude, annotated, settings.largest_gap)
    if len(params.databases) == 1:
        # A wrong list ends here, in seconds, and not after the flow. It changes nothing of what this stage writes.
        profile = profile_of(database, params.synthesize.layout)
        task = make_task({database: reading.table}, {database: profile}, params.classes)
        check_subjects(task, params.subjects, params.protocol, params.dataset)
    targets = [paths.recordings(database), paths.annotation(database)]
    with staged(paths.partial("index", database), *targets) as [recordings, sums]:
        reading.table.to_csv(recordings, index=False)
        sums.write_text(json.dumps({file.name: sha256(file) for file in reading.annotations}) + "\n")
    for row in reading.passed_over:
        click.echo(f"{database}: passed over, because no task uses its label: {row}")
    for clip in reading.apex_unknown:
        click.echo(f"{database}: apex taken for unknown, because it is not between onset and offset: {clip}")
    for clip in (*reading.mended, *reading.remarks):
        click.echo(f"{database}: {clip}")
    click.echo(f"{database}: {len(reading.table)} recordings of {reading.table['subject'].nunique()} subjects")


def _annotation(database: str, settings: Database) -> Path | None:
    """The annotation file of params.yaml; one that DVC does not see must be the one that was adopted."""
    path = None if settings.annotation.file == "auto" else Path(settings.raw) / settings.annotation.file
    expected = settings.annotation.sha256
    if path and expected and path.is_file() and (found := sha256(path)) != expected:
        raise InputError(
            f"{path}: expected the annotation with SHA-256 {expected}, found {found}. "
            f"If the change is meant, run `python -m pipeline use {database}` again."
        )
    return path


if __name__ == "__main__":
    main()
