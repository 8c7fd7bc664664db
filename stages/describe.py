"""Describe every clip of a database by the feature of one method."""

from contextlib import closing
from pathlib import Path

import click

from pipeline import comparators, paths
from pipeline.comparators.protocol import description
from pipeline.params import load_params
from pipeline.storage import clip_store, described, resume
from pipeline.storage.outputs import staged
from stages.command import counter, stage


@stage
@click.argument("database")
@click.argument("method")
def main(database: str, method: str) -> None:
    """The feature METHOD of the clips of DATABASE, without labels. An interrupted run goes on where it ended."""
    params = load_params(paths.PARAMS)
    comparators.reads(method)  # an unknown method ends here, in an error that lists those there are
    reads = described.read(paths.described(database, method))
    arrays = reads.arrays.checked()
    frames = reads.frames.checked() if reads.frames else None
    landmarks = description.Landmarks(Path(params.comparators.landmarks), frames) if frames else None
    task = description.Task(method, params.comparators.settings(method), arrays, landmarks)
    task.check_faces()
    with clip_store.reading(arrays) as file:
        clips = clip_store.clip_names(file)
    with (
        resume.resumable(paths.resume("describe", database, method), task.key()) as kept,
        staged(paths.partial("describe", database, method), paths.features(database, method)) as [path],
        counter(params, f"describe {method}", "clip", len(clips), len(kept.finished)) as bar,
    ):
        if kept.stale:
            click.echo("describe: an interrupted run had other clips, settings or code: it is not used")
        for damaged in kept.damaged:
            click.echo(f"Warning: {damaged} is not what was written to it and is not used", err=True)
        if kept.finished:
            click.echo(f"describe: going on after {len(kept.finished)} of {len(clips)} clips")
        with closing(description.features(task, kept, report=lambda: bar.update())) as features:
            clip_store.write_stack(path, "features", clips, features, description.attributes(task))


if __name__ == "__main__":
    main()
