"""One square around the face of a clip, for recordings that show more than a face.

The face is found in the onset frame only and the square stays where it is: a square that followed the face would add
its own jumps to the motion of the face.
"""

import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import InputError

Box = tuple[int, int, int, int]
"""x, y of the upper left corner, width and height, in pixels."""

# The detector's square ends at the eyebrows and cheeks; this shows the face from hairline to chin.
ENLARGEMENT = 1.2
# OpenCV's package brings it along.
_CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
# A face fills a good part of a recording; smaller finds are patterns of the background.
_SMALLEST = 0.15


class NoBox(Exception):
    """Why a clip cannot be cut to a face."""


def find_face(frame: np.ndarray) -> Box | None:
    """Square around the largest frontal face, or None when none is found.

    The detector is the cascade of Haar features that OpenCV ships (Viola and Jones, Rapid Object Detection using a
    Boosted Cascade of Simple Features, CVPR 2001, doi:10.1109/CVPR.2001.990517). Its square is enlarged by
    `ENLARGEMENT` and moved, if need be made smaller, to lie inside the frame.

    Parameters
    ----------
    frame
        uint8 (H, W, 3) RGB.
    """
    grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    smallest = int(_SMALLEST * min(grey.shape))
    faces = _detector().detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest))
    if len(faces) == 0:
        return None
    x, y, width, height = max(((int(x), int(y), int(w), int(h)) for x, y, w, h in faces), key=lambda face: face[2])
    side = min(round(ENLARGEMENT * max(width, height)), *grey.shape)
    left = _clamp(round(x + (width - side) / 2), grey.shape[1] - side)
    top = _clamp(round(y + (height - side) / 2), grey.shape[0] - side)
    return left, top, side, side


def box_for(frame: np.ndarray, given: Box | None = None) -> Box:
    """The square that a clip is cut to: the one that was `given`, otherwise the face found in its onset frame.

    Raises
    ------
    NoBox
        There is no face, or the square is not inside the frame.
    """
    box = given or find_face(frame)
    size = f"{frame.shape[1]} x {frame.shape[0]} px"
    if box is None:
        raise NoBox(f"no face found in its onset frame ({size})")
    x, y, width, height = box
    if x + width > frame.shape[1] or y + height > frame.shape[0]:
        raise NoBox(f"face_boxes: {list(box)} is not inside its onset frame ({size})")
    return box


def boxes_for(
    onset_frames: Iterable[tuple[str, np.ndarray]], given: Mapping[str, Box], pictures: Path
) -> dict[str, Box]:
    """The square of each clip.

    Parameters
    ----------
    onset_frames
        Clip and its onset frame, uint8 (H, W, 3) RGB; consumed one at a time.
    given
        Squares by hand, by clip.
    pictures
        Folder for the frames of clips that have no square; what was in it is removed.

    Raises
    ------
    InputError
        Clips have no face or a square that does not fit, or squares are given for clips that are not there; all of
        these are listed, with the picture to look at.
    """
    shutil.rmtree(pictures, ignore_errors=True)
    boxes: dict[str, Box] = {}
    problems, seen = [], set()
    for clip, frame in onset_frames:
        seen.add(clip)
        try:
            boxes[clip] = box_for(frame, given.get(clip))
        except NoBox as reason:
            picture = pictures / f"{clip.replace('/', '_')}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
            problems.append(f"{clip}: {reason}, see {picture}")
    problems = [f"face_boxes: {clip} is no clip" for clip in given if clip not in seen] + problems
    if problems:
        raise InputError(
            f"expected one face in every clip; {len(problems)} are not right:\n  "
            + "\n  ".join(problems)
            + "\nLook at the pictures and give each a box in params.yaml, in pixels: "
            + "`face_boxes: {clip: [x, y, width, height]}`. Or say `face: none`, if the frames show faces only."
        )
    return boxes


@cache
def _detector() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(_CASCADE))


def _clamp(value: int, most: int) -> int:
    return max(0, min(value, most))
