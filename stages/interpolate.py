"""Interpolate every clip to F frames between onset and offset, cropped to the face where that is asked for."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pipeline import params as parameters
from pipeline import paths
from pipeline.errors import InputError
from pipeline.frames import face_crop, resampling
from pipeline.frames.recording import Recording
from pipeline.storage import clip_store, tables
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
def main() -> None:
    """Linear interpolation in time (section 4.1), one clip in memory at a time."""
    params = parameters.load(paths.PARAMS)
    clips = tables.read(paths.clips(params.dataset))
    boxes = _boxes(params, clips) if params.face == "crop" else {}
    bar = progress(params, "interpolate", "clip", len(clips))

    def interpolated(clip: Any) -> tuple[str, np.ndarray]:
        return clip.clip, resampling.interpolate(
            _recording(params, clip, boxes.get(clip.clip)), params.interpolation.frames
        )

    target = paths.interpolated(params.dataset)
    with staged(paths.partial("interpolate", params.dataset), target) as [path]:
        clip_store.write_arrays(path, map(interpolated, bar(clips.itertuples())))


def _recording(params: parameters.Params, clip: Any, box: face_crop.Box | None = None) -> Sequence[np.ndarray]:
    return Recording(Path(params.raw) / clip.frames, clip.onset, clip.offset, box)


def _boxes(params: parameters.Params, clips: pd.DataFrame) -> dict[str, face_crop.Box]:
    """The square of each clip, from params.yaml or found in its onset frame; all failures are reported at once."""
    boxes: dict[str, face_crop.Box] = {}
    given, known = params.face_boxes, set(clips["clip"])
    problems = [f"face_boxes: {clip} is no clip of {params.dataset}" for clip in given if clip not in known]
    pictures = paths.faceless(params.dataset)
    shutil.rmtree(pictures, ignore_errors=True)
    bar = progress(params, "faces", "clip", len(clips))
    for clip in bar(clips.itertuples()):
        frame = _recording(params, clip)[0]
        box = given.get(clip.clip) or face_crop.find_face(frame)
        if box is not None and face_crop.fits(box, frame):
            boxes[clip.clip] = box
            continue
        picture = pictures / f"{clip.clip.replace('/', '_')}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
        size = f"{frame.shape[1]} x {frame.shape[0]} px"
        reason = "no face found in its onset frame" if box is None else f"face_boxes: {list(box)} is not inside it"
        problems.append(f"{clip.clip}: {reason} ({size}, see {picture})")
    if problems:
        raise InputError(
            f"expected one face in every clip of {params.dataset}; {len(problems)} are not right:\n  "
            + "\n  ".join(problems)
            + f"\nLook at the pictures and give each a box in {paths.PARAMS}, in pixels: "
            + "`face_boxes: {clip: [x, y, width, height]}`. Or say `face: none`, if the frames show faces only."
        )
    return boxes


if __name__ == "__main__":
    main()
