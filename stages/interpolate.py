"""Interpolate every clip to F frames between onset and offset, cropped to the face where that is asked for."""

from pathlib import Path

import click
import numpy as np

from pipeline import paths
from pipeline.frames import filming, resampling
from pipeline.frames.face_crop import Box
from pipeline.params import load_params
from pipeline.storage import clip_store, tables
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Linear interpolation in time (section 4.1), one clip of DATABASE in memory at a time."""
    params = load_params(paths.PARAMS)
    settings = params.databases[database]
    raw = Path(settings.raw)
    clips = list(clip_rows(tables.read(paths.recordings(database), columns=ClipRow._fields)))
    boxes: dict[str, Box] = {}
    if settings.face == "crop":
        bar = progress(params, "faces", "clip", len(clips))
        boxes = filming.squares(raw, bar(clips), settings.face_boxes, paths.faceless(database))

    def interpolated(clip: ClipRow) -> tuple[str, np.ndarray]:
        recording = filming.recording(raw, clip, boxes.get(clip.clip))
        return clip.clip, resampling.interpolate(recording, params.interpolation.frames)

    bar = progress(params, "interpolate", "clip", len(clips))
    with staged(paths.partial("interpolate", database), paths.interpolated(database)) as [path]:
        clip_store.write_arrays(path, map(interpolated, bar(clips)))


if __name__ == "__main__":
    main()
