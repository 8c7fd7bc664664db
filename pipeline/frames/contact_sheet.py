"""A look at a dataset before hours of computing: pictures of some of its clips in titled rows."""

import io
from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pipeline import lettering

HEIGHT = 200
"""Height of every picture on the sheet, pixels."""

_GAP, _TITLE = 8, 24
_PAPER, _INK = 245, (40, 40, 40)


def contact_sheet(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]]) -> np.ndarray:
    """Rows of captioned pictures, each row under a title.

    Parameters
    ----------
    rows
        Title and pictures, each a caption and a frame, uint8 (H, W, 3) RGB.

    Returns
    -------
    uint8 (H, W, 3) RGB.
    """
    return np.vstack([_row(title, pictures, _width(rows)) for title, pictures in rows])


def _width(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]]) -> int:
    widest: int = max(sum(_scaled(frame).shape[1] + _GAP for _, frame in pictures) for _, pictures in rows)
    return max(widest + _GAP, 480)


def _scaled(frame: np.ndarray) -> np.ndarray:
    width = max(1, round(frame.shape[1] * HEIGHT / frame.shape[0]))
    method = cv2.INTER_AREA if frame.shape[0] > HEIGHT else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, HEIGHT), interpolation=method)


def _row(title: str, pictures: Sequence[tuple[str, np.ndarray]], width: int) -> np.ndarray:
    row = np.full((2 * _TITLE + HEIGHT + _GAP, width, 3), _PAPER, np.uint8)
    _write(row, title, (_GAP, _TITLE - 7))
    x = _GAP
    for caption, frame in pictures:
        picture = _scaled(frame)
        row[2 * _TITLE : 2 * _TITLE + HEIGHT, x : x + picture.shape[1]] = picture
        _write(row, caption, (x, 2 * _TITLE - 7))
        x += picture.shape[1] + _GAP
    return row


def _write(picture: np.ndarray, text: str, corner: tuple[int, int]) -> None:
    """Write text into a picture; `corner` is the left end of its base line."""
    if text.isascii():
        cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
        return
    # OpenCV's letters are ASCII; others would come out as question marks.
    x, y = corner
    strip = picture[max(0, y - _TITLE + 7) : y + 7]
    height, width = strip.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.figimage(strip)
    with matplotlib.rc_context({"text.parse_math": False}):
        ink = tuple(level / 255 for level in _INK)
        figure.text(x / width, 7 / height, text, fontfamily=lettering.families(text), fontsize=8.5, color=ink)
        written = io.BytesIO()
        figure.savefig(written, format="rgba")
    strip[:] = np.frombuffer(written.getvalue(), np.uint8).reshape(height, width, 4)[..., :3]
