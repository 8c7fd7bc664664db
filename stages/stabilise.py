"""Take the motion of the head out of every clip."""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from pipeline import paths
from pipeline.errors import InputError
from pipeline.frames import head_motion, resampling
from pipeline.params import load_params
from pipeline.storage import clip_store, resume, tables
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Follow the head in each clip of DATABASE and keep it where it was. A run that was interrupted goes on."""
    params = load_params(paths.PARAMS)
    fit, resized = params.head_motion, paths.resized(database)
    with clip_store.reading(resized) as source:
        clips = clip_store.clip_names(source)
        key = resume.key({"fit": fit, "numpy": np.__version__}, [resized, Path(head_motion.__file__)])
        with (
            resume.resumable(paths.resume("stabilise", database), key) as parts,
            staged(paths.partial("stabilise", database), paths.stabilised(database), paths.head_motion(database)) as [
                frames,
                motion,
            ],
        ):
            for damaged in parts.damaged:
                click.echo(f"Warning: {damaged} is not what was written to it and is not used", err=True)
            missing = [row for row in range(len(clips)) if row not in parts.finished]
            lost: list[tuple[int, head_motion.Doubt]] = []
            for row in progress(params, "stabilise", "clip", len(clips))(missing):
                try:
                    parts.save(row, head_motion.follow(clip_store.values(source, "frames", row), fit))
                except head_motion.NoHeadMotionError as reason:
                    lost.append((row, reason.doubt))
            if lost:
                raise InputError(
                    f"{resized}: expected {len(clips)} clips in which the head can be followed, found {len(lost)} in "
                    "which it cannot:\n"
                    + "\n".join(_named(database, clips, lost, source["frames"].shape[1]))
                    + "\nLook at their frames. List the clips in "
                    f"databases.{database}.exclude, or say head_motion: keep in {paths.PARAMS}: the motion then stays "
                    "in all clips."
                )
            heads = [parts.load(row) for row in range(len(clips))]
            clip_store.write_stack(motion, "head_motion", clips, heads, {"fit": fit})
            still = (
                head_motion.stabilised(clip_store.values(source, "frames", row), heads[row])
                for row in range(len(clips))
            )
            clip_store.write_stack(frames, "frames", clips, still)


def _named(database: str, clips: list[str], lost: list[tuple[int, head_motion.Doubt]], count: int) -> Iterator[str]:
    """Say what is wrong with each clip, with the frames that its files have, not those that were interpolated."""
    columns = ["clip", "onset", "offset"]
    recordings = tables.read(paths.recordings(database), ("onset", "offset"), columns)
    spans = {clip: (int(onset), int(offset)) for clip, onset, offset in recordings[columns].itertuples(index=False)}
    for row, doubt in lost:
        onset, offset = spans[clips[row]]

        def named(index: int, onset: int = onset, offset: int = offset) -> str:
            return f"frame {onset + resampling.nearest(index, offset - onset + 1, count)}"

        yield f"  {clips[row]}: {doubt.said(named)}"


if __name__ == "__main__":
    main()
