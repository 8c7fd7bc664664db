"""One square around the face of a clip, for recordings that show more than a face.

The face is found in the onset frame only and the square stays where it is: a square that followed the face would add
its own jumps to the motion of the face.
"""

from functools import cache

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""x, y of the upper left corner, width and height, in pixels."""

# The detector's square ends at the eyebrows and cheeks; this shows the face from hairline to chin.
ENLARGEMENT = 1.2
# A face fills a good part of a recording; smaller finds are patterns of the background.
_SMALLEST = 0.15


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


def fits(box: Box, frame: np.ndarray) -> bool:
    """Whether a box lies inside a frame."""
    x, y, width, height = box
    return x + width <= frame.shape[1] and y + height <= frame.shape[0]


@cache
def _detector() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def _clamp(value: int, most: int) -> int:
    return max(0, min(value, most))
