"""Resize every frame to S x S pixels."""

from pipeline import params as parameters
from pipeline import paths
from pipeline.frames import resampling
from pipeline.storage import clip_store, tables
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
def main() -> None:
    """Resize with antialiasing (section 4.1), one clip in memory at a time."""
    params = parameters.load(paths.PARAMS)
    clips = list(tables.read(paths.clips(params.dataset))["clip"])
    bar = progress(params, "resize", "clip", len(clips))
    target = paths.resized(params.dataset)
    with (
        clip_store.reading(paths.interpolated(params.dataset)) as source,
        staged(paths.partial("resize", params.dataset), target) as [path],
    ):
        resized = (resampling.resize(source[clip][:], params.resize.size) for clip in bar(clips))
        clip_store.write_stack(path, "frames", clips, resized)


if __name__ == "__main__":
    main()
