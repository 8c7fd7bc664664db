"""What all figures share: colours, style, pictures in a row, maps over a frame, and how a figure becomes a file.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), cividis and viridis, which colour-blind readers can tell
apart; only the flow has the colour wheel that the field is used to. No global state can change a figure, and `write`
makes equal figures equal bytes.
"""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from pipeline import lettering
from pipeline.networks.stanet.introspection import Grid

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
# Colours of the flow field's directions, from right to down and around, and how many steps of hue lead to the next:
# Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 92, 2011, doi:10.1007/s11263-010-0390-2.
_HUES = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]], np.float64)
_STEPS = np.cumsum([0, 15, 6, 4, 11, 13, 6])


def styled() -> AbstractContextManager[None]:
    """The context in which a figure is drawn, and in which it is written."""
    return matplotlib.rc_context(
        {
            "font.family": lettering.FONT,
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "svg.hashsalt": "stanet",  # otherwise drawn at random for every file
            "svg.fonttype": "path",
            "text.parse_math": False,  # a name with two `$` in it is no formula
        }
    )


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, whichever `path` ends in; equal figures give equal bytes."""
    nameless = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[path.suffix[1:]]
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of every letter that no font has; who draws has checked before
        _choose_fonts(figure)
        figure.savefig(path, dpi=90, metadata=nameless, facecolor="white")


def _choose_fonts(figure: Figure) -> None:
    """Give all text fonts that have its letters; text in the letters of `lettering.FONT` stays as it is."""
    for axes in figure.axes:
        axes.get_xticklabels()  # which have no text before they are asked for
        axes.get_yticklabels()
    texts = figure.findobj(Text)
    families = lettering.families("".join(text.get_text() for text in texts))
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)


def flow_colours(flow: np.ndarray, fastest: float) -> np.ndarray:
    """Flow in the colour wheel of Middlebury: hue is direction, saturation is speed, white is rest.

    Parameters
    ----------
    flow
        (..., 2, H, W): u right, v down.
    fastest
        Speed of full saturation, in the unit of the flow; what is faster is drawn darker.

    Returns
    -------
    uint8 (..., H, W, 3) RGB.
    """
    u, v = np.moveaxis(np.asarray(flow, np.float64), -3, 0)
    speed = (np.hypot(u, v) / max(fastest, 1e-12))[..., None]
    turn = np.arctan2(-v, -u) / (2 * np.pi) + 0.5  # 0 to the right, then clockwise as the eye sees it: down is 1/4
    hue = np.stack([np.interp(turn * _STEPS[-1], _STEPS, _HUES[:, channel]) for channel in range(3)], axis=-1)
    colour = np.where(speed <= 1, 1 - speed * (1 - hue), 0.75 * hue)
    levels: np.ndarray = np.rint(255 * colour)
    return levels.astype(np.uint8)


def side_by_side(axes: Axes, pictures: Sequence[np.ndarray], columns: int) -> list[float]:
    """Pictures (S, S, 3) in a row with room for `columns`; gives the x of the left edge of each, in pixels.

    One `Axes` for all: laying out one for each would take most of the time of a report.
    """
    size = len(pictures[0])
    lefts = [1.08 * size * column - 0.5 for column in range(columns)]
    for picture, left in zip(pictures, lefts, strict=False):
        axes.imshow(picture, interpolation="bilinear", extent=extent(size, left))
    axes.set(xlim=(lefts[0], lefts[-1] + size), ylim=(size - 0.5, -0.5))
    axes.set_axis_off()
    return lefts[: len(pictures)]


def extent(size: int, left: float) -> tuple[float, float, float, float]:
    """Left, right, lower and upper edge of a picture (S, S), whose pixel centres are whole numbers in height."""
    return left, left + size, size - 0.5, -0.5


def grey(frame: np.ndarray) -> np.ndarray:
    """The frame without colour, which belongs to what is laid over it: uint8 (S, S, 3)."""
    level: np.ndarray = np.rint(frame.mean(axis=-1, keepdims=True)).astype(np.uint8)
    return np.repeat(level, 3, axis=-1)


def lay(axes: Axes, field: np.ndarray, grid: Grid, limits: tuple[float, float], left: float = -0.5) -> AxesImage:
    """A field (S, S) over the frame that is drawn from `left` on; the border is that of the network's input."""
    image = axes.imshow(
        field, cmap="viridis", alpha=0.6, vmin=limits[0], vmax=limits[1], extent=extent(len(field), left)
    )
    corner = left + grid.corner, grid.corner - 0.5
    axes.add_patch(Rectangle(corner, grid.crop, grid.crop, fill=False, edgecolor="white", linewidth=0.8))
    return image
