"""Resize every frame to S x S pixels."""

import click

from pipeline import paths
from pipeline.frames import resampling
from pipeline.params import load_params
from pipeline.storage import clip_store, tables
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Resize with antialiasing (section 4.1), one clip of DATABASE in memory at a time."""
    params = load_params(paths.PARAMS)
    clips = list(tables.read(paths.recordings(database), columns=["clip"])["clip"])
    bar = progress(params, "resize", "clip", len(clips))
    with (
        clip_store.reading(paths.interpolated(database)) as source,
        staged(paths.partial("resize", database), paths.resized(database)) as [path],
    ):
        resized = (resampling.resize(clip_store.values(source, clip), params.resize.size) for clip in bar(clips))
        clip_store.write_stack(path, "frames", clips, resized)


if __name__ == "__main__":
    main()
