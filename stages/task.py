"""Choose the clips that are studied, and write the split of every fold."""

import json

import click

from pipeline import paths
from pipeline.databases import megc2019
from pipeline.databases.profiles import profile_of
from pipeline.databases.task import check_subjects, make_task
from pipeline.evaluation import protocols
from pipeline.params import load_params
from pipeline.storage import parts, tables
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
def main() -> None:
    """The clips of all databases of the study in the classes of its task."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    members = parts.read(paths.manifests(name, params.databases))
    recordings = {part.database: tables.read(part.recordings.checked()) for part in members}
    profiles = {database: profile_of(database, params.synthesize.layout) for database in params.databases}
    task = make_task(recordings, profiles, params.classes)
    check_subjects(task, params.subjects, params.protocol, name)
    folds = protocols.folds(params.protocol, params.folds, task.clips)
    protocols.check(task.clips, folds)
    if params.clip_selection == megc2019.NAME:
        excluded = {database: params.databases[database].exclude for database in params.databases}
        found = megc2019.study_differences(task.clips, recordings, excluded, params.accepted, megc2019.official())
        megc2019.check(found, params.accepted)
    if task.left_out:
        counts = ", ".join(f"{count} {label}" for label, count in sorted(task.left_out.items()))
        click.echo(f"{name}: clips outside the task are left out: {counts}")
    targets = [paths.clips(name), paths.classes(name), paths.folds(name), paths.splits(name)]
    with staged(paths.partial("task", name), *targets) as [clips, classes, listed, splits]:
        task.clips.to_csv(clips, index=False)
        classes.write_text(json.dumps(task.classes) + "\n")
        listed.write_text(protocols.as_text(folds), encoding="utf-8")
        splits.mkdir()
        for fold, subjects in folds.items():
            # The split of a fold outside `held_out` is empty, so that its training has nothing to do. The splits of
            # the others stay as they are, and `held_out` can grow without training any fold twice.
            split = protocols.split(task.clips, subjects)
            split = split if fold in params.trained_folds else split[:0]
            split.to_csv(splits / paths.split(name, fold).name, index=False)
    click.echo(f"{name}: {len(task.clips)} clips of {len(params.subjects)} subjects, {len(folds)} folds")


if __name__ == "__main__":
    main()
