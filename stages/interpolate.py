"""Interpolate every clip to F frames between onset and offset, cropped to the face where that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

from pipeline import paths
from pipeline.errors import InputError
from pipeline.frames import face_crop, resampling
from pipeline.frames.recording import Recording
from pipeline.params import load_params
from pipeline.storage import clip_store, n_missing, tables
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Linear interpolation in time (section 4.1), one clip of DATABASE in memory at a time."""
    params = load_params(paths.PARAMS)
    settings = params.databases[database]
    table = tables.read(paths.recordings(database), columns=ClipRow._fields)
    clips = list(clip_rows(table))
    gaps = n_missing.counts(table)

    def recording(clip: ClipRow, box: face_crop.Box | None = None) -> Recording:
        folder = Path(settings.raw) / clip.frames
        return Recording(folder, clip.onset, clip.offset, box, gaps=clip.clip in gaps)

    @contextmanager
    def excludable(clip: ClipRow) -> Iterator[None]:
        """Say of a clip whose frames cannot be used how to go on without it."""
        try:
            yield
        except InputError as error:
            raise InputError(
                f"{error} Or list {clip.clip} under databases.{database}.exclude in {paths.PARAMS}."
            ) from error

    def onset(clip: ClipRow) -> tuple[str, np.ndarray]:
        with excludable(clip):
            return clip.clip, recording(clip)[0]

    def interpolated(clip: ClipRow) -> tuple[str, np.ndarray]:
        with excludable(clip):
            frames = recording(clip, boxes.get(clip.clip))
            return clip.clip, resampling.interpolate(frames, params.interpolation.frames, frames.times)

    boxes: dict[str, face_crop.Box] = {}
    if settings.face == "crop":
        bar = progress(params, "faces", "clip", len(clips))
        notes: list[str] = []
        boxes = face_crop.boxes_for(map(onset, bar(clips)), settings.face_boxes, paths.faceless(database), notes.append)
        for note in notes:
            click.echo(f"Note: {note}. `face_boxes` in {paths.PARAMS} gives another square.", err=True)

    bar = progress(params, "interpolate", "clip", len(clips))
    with staged(paths.partial("interpolate", database), paths.interpolated(database)) as [path]:
        clip_store.write_arrays(path, map(interpolated, bar(clips)))


if __name__ == "__main__":
    main()
