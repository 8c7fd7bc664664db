"""One glance at the embedded dataset: of each subject and class the onset, the apex and the motion of one clip."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from pipeline.frames.contact_sheet import HEIGHT, contact_sheet

_STEP = 10  # px from one arrow to the next
_LENGTH = 17  # px of the longest arrow
_SLOWEST = 0.15  # of the largest displacement: what moves less has no arrow
_YELLOW = (255, 230, 0)

Captioned = tuple[str, np.ndarray]


def pictures(
    label: str, units: Sequence[int], onset: np.ndarray, apex: np.ndarray, displacement: np.ndarray
) -> list[Captioned]:
    """What the overview shows of a clip.

    Parameters
    ----------
    label
        Class of its expression.
    units
        Its action units.
    onset, apex
        Two frames, uint8 (H, W, 3) BGR.
    displacement
        (2, H, W), how far the expression moves each pixel from one to the other.

    Returns
    -------
    Three pictures with their captions, uint8 (H, W, 3) RGB.
    """
    onset, apex = onset[..., ::-1], apex[..., ::-1]
    return [
        (f"{label}: onset", onset),
        (f"apex, AU {'+'.join(map(str, units))}", apex),
        ("motion", arrows(onset, displacement)),
    ]


def arrows(frame: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """A displacement (2, H, W) as arrows on a dimmed frame: uint8 (HEIGHT, width, 3); the longest is always as long."""
    height, width = frame.shape[:2]
    factor = HEIGHT / height
    small = cv2.resize(frame, (max(1, round(width * factor)), HEIGHT), interpolation=cv2.INTER_AREA)
    picture = cv2.addWeighted(small, 0.45, np.full_like(small, 255), 0.25, 0)
    relative = displacement / (float(np.hypot(*displacement).max()) or 1.0)
    for row in range(_STEP // 2, HEIGHT, _STEP):
        for column in range(_STEP // 2, picture.shape[1], _STEP):
            u, v = relative[:, min(int(row / factor), height - 1), min(int(column / factor), width - 1)]
            if np.hypot(u, v) > _SLOWEST:
                tip = round(column + _LENGTH * float(u)), round(row + _LENGTH * float(v))
                cv2.arrowedLine(picture, (column, row), tip, _YELLOW, 1, cv2.LINE_AA, tipLength=0.35)
    return picture


def overview(shown: Mapping[tuple[str, str], Sequence[Captioned]], classes: Sequence[str]) -> np.ndarray:
    """A row per subject, classes from left to right; what nobody showed is left out.

    Parameters
    ----------
    shown
        Pictures of a clip by subject and class.
    classes
        In the order in which they are shown.

    Returns
    -------
    uint8 (H, W, 3) RGB.
    """
    rows = [
        (subject, [picture for label in classes for picture in shown.get((subject, label), ())])
        for subject in sorted({subject for subject, _ in shown})
    ]
    return contact_sheet(rows)
