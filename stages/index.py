"""Read the active dataset and write the table of its clips and the leave-one-subject-out splits."""

import json
from pathlib import Path

import click

from pipeline import params as parameters
from pipeline import paths
from pipeline.databases import DATASETS, annotation
from pipeline.errors import InputError
from pipeline.evaluation import loso
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
def main() -> None:
    """Check every annotated clip of the dataset; all defects are reported at once."""
    params = parameters.load(paths.PARAMS)
    name = params.dataset
    reading = DATASETS[name].read(Path(params.raw), params.exclude, _annotation(params))
    loso.check(reading.table)
    _check_subjects(params, sorted(reading.table["subject"].unique()))
    if reading.left_out:
        counts = ", ".join(f"{count} {label}" for label, count in sorted(reading.left_out.items()))
        click.echo(f"{name}: clips of classes outside the task are left out: {counts}")
    targets = [paths.clips(name), paths.classes(name), paths.annotation(name), paths.splits(name)]
    with staged(paths.partial("index", name), *targets) as [clips, classes, sums, splits]:
        reading.table.to_csv(clips, index=False)
        classes.write_text(json.dumps(reading.classes) + "\n")
        sums.write_text(json.dumps({file.name: annotation.sha256(file) for file in reading.annotations}) + "\n")
        splits.mkdir()
        for subject in params.subjects:
            # The split of a fold that is not wanted is empty, so that its training has nothing to do; the splits of
            # the others stay as they are, and `held_out` can grow without training any fold twice.
            split = loso.split(reading.table, subject)
            split = split if subject in params.folds else split[:0]
            split.to_csv(splits / f"{subject}.csv", index=False)
    click.echo(f"{name}: {len(reading.table)} clips of {len(params.subjects)} subjects")


def _annotation(params: parameters.Params) -> Path | None:
    """The annotation file of params.yaml; one that DVC does not see must be the one that was adopted."""
    path = None if params.annotation.file == "auto" else Path(params.raw) / params.annotation.file
    expected = params.annotation.sha256
    if path and expected and path.is_file() and (found := annotation.sha256(path)) != expected:
        raise InputError(
            f"{path}: expected the annotation with SHA-256 {expected}, found {found}. "
            f"If the change is meant, run `python -m pipeline use {params.dataset}` again."
        )
    return path


def _check_subjects(params: parameters.Params, found: list[str]) -> None:
    """DVC reads dvc.yaml before anything runs, so the list of folds must stand in params.yaml; here it is checked."""
    if sorted(params.subjects) == found:
        return
    raise InputError(
        f"{paths.PARAMS}: `subjects` is not the list of subjects of {params.dataset}\n"
        f"  in params.yaml: {', '.join(params.subjects)}\n"
        f"  in {params.raw}: {', '.join(found)}\n"
        "Put this line into params.yaml and run again:\n"
        f"subjects: [{', '.join(json.dumps(subject) for subject in found)}]"
    )


if __name__ == "__main__":
    main()
