"""The 36 regions of a face, from its landmarks: six bands from above the brows to the chin, six columns across.

Liu, Zhang, Yan, Wang, Zhao, Fu 2016, doi:10.1109/TAFFC.2015.2485205: 36 regions of interest that do not
overlap, bounded by landmarks, so that each holds the muscles of few action units; they begin 20 pixels above the brows.

Open in the paper, chosen here: their corners among the 468 points of MediaPipe's face mesh, which is another than the
paper's 66; and those 20 pixels, which must grow with the face: 0.3 of the distance between the centres of the eyes.
"""

from itertools import pairwise

import cv2
import numpy as np

from pipeline.errors import InputError

POINTS = 468
"""Landmarks of MediaPipe's face mesh."""

REGIONS = 36
FOREHEAD = 0.3
"""Height of the uppermost band in distances between the centres of the eyes."""

# Corners by their numbers in the mesh, from the picture's left to its right: jaw or temple, middle of that half, inner
# point, midline, and the same mirrored. `left` and `right` are those of the picture.
_BROWS = (70, 105, 107, 9, 336, 334, 300)  # upper edge of the brows; the forehead begins above it
_EYES = (33, 159, 133, 168, 362, 386, 263)  # corners and upper lids, root of the nose
_CHEEKS = (117, 119, 121, 197, 350, 348, 346)  # below the eyes, bridge of the nose
_NOSE = (147, 205, 98, 2, 327, 425, 376)  # cheeks, wings and base of the nose
_MOUTH = (215, 212, 61, 13, 291, 432, 435)  # jaw, beside the mouth, its corners and middle
_CHIN = (136, 149, 148, 152, 377, 378, 365)  # lower edge of the jaw
_EYE_CORNERS = ((33, 133), (362, 263))


class NoFace(InputError):
    """There is no face in a picture, or too little of one; the clip is not named."""


def regions(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """The region of every pixel.

    Parameters
    ----------
    landmarks : float (468, 2)
        x to the right and y down, pixels, counted from the centre of the upper left one.
    height, width
        Size of the picture in pixels.

    Returns
    -------
    int64 (height, width): 0 … 35 in reading order, six of each band from the picture's left to its right; -1 outside of
    all. The border between two regions belongs to the later one.

    Raises
    ------
    NoFace
        A region has no pixel: the face is too small, or not in the picture.
    """
    upper = _rows(landmarks, _BROWS)
    centres = [landmarks[list(pair)].mean(axis=0) for pair in _EYE_CORNERS]
    eyes_to_brows = upper[3] - landmarks[168]  # along the face, also where the head is tilted
    up = eyes_to_brows / max(float(np.linalg.norm(eyes_to_brows)), 1e-6)
    forehead = upper + up * FOREHEAD * np.linalg.norm(centres[1] - centres[0])
    lines = [forehead, upper, *(_rows(landmarks, numbers) for numbers in (_EYES, _CHEEKS, _NOSE, _MOUTH, _CHIN))]
    found = np.full((height, width), -1, np.int32)
    for band, (above, below) in enumerate(pairwise(lines)):
        for column in range(6):
            corners = np.stack([above[column], above[column + 1], below[column + 1], below[column]])
            cv2.fillPoly(found, [np.rint(corners).astype(np.int32)], 6 * band + column)
    if missing := sorted(set(range(REGIONS)) - set(np.unique(found).tolist())):
        raise NoFace(
            f"no pixel of its first frame ({width} x {height} px) is in the regions {', '.join(map(str, missing))} of "
            "the face, which is too small, or not all in the picture"
        )
    return found.astype(np.int64)


def _rows(landmarks: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """The corners along one line across the face: float64 (7, 2)."""
    return np.asarray(landmarks[list(numbers)], np.float64)
