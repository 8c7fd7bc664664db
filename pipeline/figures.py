"""Every picture of a study, as matplotlib figures that no global state can change.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), cividis and viridis, which colour-blind readers can tell
apart; only the flow has the colour wheel that the field is used to. `write` makes equal figures equal bytes.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.introspection import Attention, Grid

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "stanet",  # otherwise drawn at random for every file
    "svg.fonttype": "path",
}
# Colours of the flow field's directions, from right to down and around, and how many steps of hue lead to the next:
# Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 92, 2011, doi:10.1007/s11263-010-0390-2.
_HUES = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]], np.float64)
_STEPS = np.cumsum([0, 15, 6, 4, 11, 13, 6])
_TILES = 10  # pictures in a row


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, whichever `path` ends in; equal figures give equal bytes."""
    nameless = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[path.suffix[1:]]
    with matplotlib.rc_context(_STYLE):
        figure.savefig(path, dpi=100, metadata=nameless, facecolor="white")


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
    return np.rint(255 * colour).astype(np.uint8)


def motion_energy(flow: np.ndarray) -> np.ndarray:
    """How much moves in each flow frame: (T, 2, H, W) -> float64 (T,), mean speed in pixels per frame.

    The median vector of a frame is taken out first: that is the head, not the expression.
    """
    flow = np.asarray(flow, np.float64)
    return np.hypot(*np.moveaxis(without_head_motion(flow), 1, 0)).mean(axis=(1, 2))


def without_head_motion(flow: np.ndarray) -> np.ndarray:
    """Flow (..., 2, H, W) less the median vector of each frame."""
    return flow - np.median(flow, axis=(-2, -1), keepdims=True)


def clip_attention(frames: np.ndarray, flow: np.ndarray, attention: Attention, title: str) -> Figure:
    """One clip: its flow frame by frame with the weight of each, its mask over the face, weights beside motion.

    Parameters
    ----------
    frames
        uint8 (F, S, S, 3) RGB, F = T + 1.
    flow
        (T, 2, S, S), pixels per frame.
    attention
        Of a network with or without its branches; what it does not have is not drawn.
    title
        One line.
    """
    flow = np.asarray(flow, np.float32)
    count = len(flow)
    rows = -(-count // _TILES)
    speed = np.hypot(flow[:, 0], flow[:, 1])
    fastest = float(np.quantile(speed, 0.995))
    masks = attention.mask is not None
    heights = [1.25] * rows * (1 + masks) + [2.2]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(14, 0.9 + sum(heights) * 1.1), layout="constrained")
        figure.suptitle(title, fontsize=12)
        grid = figure.add_gridspec(len(heights), _TILES + 1, height_ratios=heights)
        limits = _limits(attention.mask) if masks else None
        for i in range(count):
            row, column = divmod(i, _TILES)
            axes = _picture(figure, grid[row * (1 + masks), column], flow_colours(flow[i], fastest))
            weight = "" if attention.weights is None else f"\n{attention.weights[i]:.4f}"
            axes.set_title(f"{i + 1}{weight}", fontsize=9)
            if column == 0:
                axes.text(-0.08, 1.04, "flow frame" + "\nweight" * bool(weight), transform=axes.transAxes, ha="right")
            if masks:
                axes = _picture(figure, grid[row * 2 + 1, column], _grey(frames[i]))
                image = _overlay(axes, attention.mask[i], attention.grid, limits)
        _wheel_key(figure.add_subplot(grid[0, _TILES]), fastest)
        if masks:
            scale = figure.add_subplot(grid[1, _TILES])
            scale.set_axis_off()
            figure.colorbar(image, ax=scale, label="mask (mean\nover channels)", fraction=0.25, location="left")
        _course(figure, grid[len(heights) - 1, :], motion_energy(flow), attention.weights)
    return figure


def _picture(figure: Figure, cell: object, image: np.ndarray) -> Axes:
    axes = figure.add_subplot(cell)
    axes.imshow(image, interpolation="bilinear")
    axes.set_axis_off()
    return axes


def _grey(frame: np.ndarray) -> np.ndarray:
    """The frame without colour, which belongs to what is laid over it: uint8 (S, S, 3)."""
    return np.repeat(np.rint(frame.mean(axis=-1, keepdims=True)).astype(np.uint8), 3, axis=-1)


def _limits(field: np.ndarray) -> tuple[float, float]:
    return float(field.min()), float(field.max())


def _overlay(axes: Axes, field: np.ndarray, grid: Grid, limits: tuple[float, float] | None = None) -> object:
    """A map (h, w) over the frame that is drawn in `axes`, in register; the border is that of the network's input."""
    low, high = limits or _limits(field)
    image = axes.imshow(grid.over_frame(field), cmap="viridis", alpha=0.6, vmin=low, vmax=high)
    edge = grid.corner - 0.5
    axes.add_patch(Rectangle((edge, edge), grid.crop, grid.crop, fill=False, edgecolor="white", linewidth=0.8))
    return image


def _wheel_key(axes: Axes, fastest: float) -> None:
    """Which colour is which direction, and how fast the rim is."""
    v, u = np.mgrid[-1:1:101j, -1:1:101j]
    wheel = flow_colours(np.stack([u, v]), 1.0)
    wheel[np.hypot(u, v) > 1] = 255
    axes.imshow(wheel, extent=(-1, 1, 1, -1))
    axes.set_axis_off()
    axes.set_title(f"direction; rim:\n{fastest:.2f} px/frame", fontsize=8)


def _course(figure: Figure, cell: object, energy: np.ndarray, weights: np.ndarray | None) -> None:
    """Weights and motion energy over time, one above the other."""
    frames = np.arange(1, len(energy) + 1)
    parts = cell.subgridspec(1 if weights is None else 2, 1, hspace=0.08)
    if weights is not None:
        above = figure.add_subplot(parts[0])
        above.bar(frames, weights, color=BLUE, width=0.8)
        above.axhline(1 / len(weights), color=GREY, linestyle="--", linewidth=1)
        above.text(len(weights) + 0.55, 1 / len(weights), "1/T", color=GREY, va="center")
        above.set(ylabel="weight", xlim=(0.5, len(energy) + 0.5), xticks=[])
    below = figure.add_subplot(parts[-1])
    below.plot(frames, energy, color=RED, marker="o", markersize=3)
    below.set(
        ylabel="motion energy\n(px/frame)",
        xlabel="flow frame",
        xlim=(0.5, len(energy) + 0.5),
        xticks=frames,
        ylim=(0, None),
    )
