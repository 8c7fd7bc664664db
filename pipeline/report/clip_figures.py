"""Figures of single clips: what a network looks at frame by frame, and strips of frames."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from pipeline.frames.head_motion import restored
from pipeline.networks.stanet.introspection import Attention
from pipeline.report.attention_scores import motion_energy
from pipeline.report.drawing import BLUE, GREY, RED, flow_colours, grey, lay, side_by_side, styled

_TILES = 10  # pictures in a row


def clip_attention(
    frames: np.ndarray, flow: np.ndarray, attention: Attention, title: str, truth: np.ndarray | None = None
) -> Figure:
    """One clip: its flow frame by frame with the weight of each, its mask over the face, weights beside motion.

    Parameters
    ----------
    frames
        uint8 (F, S, S, 3) RGB, F = T + 1.
    flow
        (T, 2, S, S), pixels per frame.
    attention
        What a network with or without its branches makes of the clip; a branch that it does not have is not drawn.
    title
        One line.
    truth
        float (T,), motion energy as it was made, pixels per frame, where it is known.
    """
    flow = np.asarray(flow, np.float32)
    count, size = len(flow), flow.shape[-1]
    rows = -(-count // _TILES)
    speed = np.hypot(flow[:, 0], flow[:, 1])
    fastest = float(np.quantile(speed, 0.995))
    seen = flow[..., attention.grid.inside, attention.grid.inside]
    mask, weights = attention.mask, attention.weights
    stride = 1 if mask is None else 2  # rows of pictures for each row of flow frames
    heights = [1.25] * rows * stride + [2.2]
    with styled():
        figure = Figure(figsize=(14, 0.9 + sum(heights) * 1.1), layout="constrained")
        figure.suptitle(title, fontsize=12)
        grid = figure.add_gridspec(len(heights), _TILES + 1, height_ratios=heights)
        for row in range(rows):
            shown = range(row * _TILES, min(count, (row + 1) * _TILES))
            axes = figure.add_subplot(grid[row * stride, :_TILES])
            lefts = side_by_side(axes, [flow_colours(flow[i], fastest) for i in shown], _TILES)
            axes.text(-0.08 * size, -0.04 * size, "flow frame" + ("" if weights is None else "\nweight"), ha="right")
            for i, left in zip(shown, lefts, strict=True):
                weight = "" if weights is None else f"\n{weights[i]:.4f}"
                axes.text(left + size / 2, -0.04 * size, f"{i + 1}{weight}", ha="center")
            if mask is not None:
                axes = figure.add_subplot(grid[row * stride + 1, :_TILES])
                for i, left in zip(shown, side_by_side(axes, [grey(frames[i]) for i in shown], _TILES), strict=True):
                    field = attention.grid.over_frame(mask[i])
                    image = lay(axes, field, attention.grid, (mask.min(), mask.max()), left)
        _wheel_key(figure.add_subplot(grid[0, _TILES]), fastest)
        if mask is not None:
            scale = figure.add_subplot(grid[1, _TILES])
            scale.set_axis_off()
            figure.colorbar(image, ax=scale, label="mask (mean\nover channels)", fraction=0.25, location="left")
        _course(figure, grid[len(heights) - 1, :], motion_energy(seen), weights, truth)
    return figure


def _wheel_key(axes: Axes, fastest: float) -> None:
    """Which colour is which direction, and how fast the rim is."""
    v, u = np.mgrid[-1:1:101j, -1:1:101j]
    wheel = flow_colours(np.stack([u, v]), 1.0)
    wheel[np.hypot(u, v) > 1] = 255
    axes.imshow(wheel, extent=(-1, 1, 1, -1))
    axes.set_axis_off()
    axes.set_title(f"direction; rim:\n{fastest:.2f} px/frame", fontsize=8)


def _course(
    figure: Figure, cell: SubplotSpec, energy: np.ndarray, weights: np.ndarray | None, truth: np.ndarray | None
) -> None:
    """Weights and motion energy over time, one above the other."""
    frames = np.arange(1, len(energy) + 1)
    parts = cell.subgridspec(1 if weights is None else 2, 1, hspace=0.08)
    if weights is not None:
        above = figure.add_subplot(parts[0])
        above.bar(frames, weights, color=BLUE, width=0.8)
        _no_attention(above, len(weights))
        above.set(ylabel="weight", xlim=(0.5, len(energy) + 0.5), xticks=[])
    below = figure.add_subplot(parts[-1])
    below.plot(frames, energy, color=RED, marker="o", markersize=3, label="of the flow")
    peak = energy.max() if truth is None else max(energy.max(), truth.max())
    if truth is not None:
        below.plot(frames, truth, color="black", linestyle="--", label="as it was made")
        below.legend(frameon=False, loc="upper right", ncols=2)
    below.set(
        ylabel="motion energy\n(px/frame)",
        xlabel="flow frame",
        xlim=(0.5, len(energy) + 0.5),
        xticks=frames,
        ylim=(0, 1.5 * peak or 1),  # room for the legend
    )


def _no_attention(axes: Axes, frames: int) -> None:
    axes.axhline(1 / frames, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        "1/T",
        (1, 1 / frames),
        (4, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        color=GREY,
        va="center",
    )


def head_motion(path: np.ndarray, flow: np.ndarray, title: str, pictures: int = 8) -> Figure:
    """Where the head of a clip goes, and the flow with and without it.

    Parameters
    ----------
    path
        (F, 2, 3), affine map of the head from the first frame to each, pixels.
    flow
        (F - 1, 2, S, S), pixels per frame, without head motion.
    title
        One line.
    pictures
        Flow frames that are shown, evenly spaced in time.
    """
    flow = np.asarray(flow, np.float32)
    before = restored(flow, path)
    size = flow.shape[-1]
    centre = np.array([(size - 1) / 2, (size - 1) / 2, 1])
    shift = (path @ centre - centre[:2]).T
    turn = np.degrees(np.arctan2(path[:, 1, 0] - path[:, 0, 1], path[:, 0, 0] + path[:, 1, 1]))
    growth = 100 * (np.sqrt(np.linalg.det(path[:, :, :2])) - 1)
    numbers = np.rint(np.linspace(0, len(flow) - 1, pictures)).astype(int)
    fastest = float(np.quantile(np.hypot(before[:, 0], before[:, 1]), 0.995))
    with styled():
        figure = Figure(figsize=(1.4 * (pictures + 1), 5.4), layout="constrained")
        figure.suptitle(title, fontsize=12)
        grid = figure.add_gridspec(3, pictures + 1, height_ratios=[1.6, 1, 1])
        courses = grid[0, :].subgridspec(1, 3)
        frames = np.arange(1, len(path) + 1)
        for column, (label, series) in enumerate(
            (
                ("shift of the centre (px)", [("to the right", shift[0], BLUE), ("down", shift[1], RED)]),
                ("turn (degrees)", [("clockwise", turn, BLUE)]),
                ("growth (%)", [("closer", growth, BLUE)]),
            )
        ):
            axes = figure.add_subplot(courses[column])
            for name, values, colour in series:
                axes.plot(frames, values, color=colour, marker="o", markersize=3, label=name)
            axes.axhline(0, color=GREY, linestyle="--", linewidth=1)
            axes.legend(frameon=False, fontsize=8)
            axes.set(xlabel="frame", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for row, (label, fields) in enumerate((("as filmed", before), ("without\nthe head", flow)), start=1):
            axes = figure.add_subplot(grid[row, :pictures])
            lefts = side_by_side(axes, [flow_colours(fields[i], fastest) for i in numbers], pictures)
            axes.text(-0.08 * size, size / 2, label, ha="right", va="center")
            if row == 1:
                for i, left in zip(numbers, lefts, strict=True):
                    axes.text(left + size / 2, -0.04 * size, i + 1, ha="center")
        _wheel_key(figure.add_subplot(grid[1, pictures]), fastest)
    return figure


def strips(examples: Sequence[tuple[str, Sequence[np.ndarray]]], pictures: int = 8) -> Figure:
    """Clips as strips of `pictures` pictures, evenly spaced in time.

    Parameters
    ----------
    examples
        Title of each clip and its strips, one below the other: uint8 (F, S, S, 3) RGB.
    """
    with styled():
        count = sum(len(strips) for _, strips in examples)
        figure = Figure(figsize=(1.2 * pictures, 1.2 * count + 0.3 * len(examples)), layout="constrained")
        parts = figure.subfigures(len(examples), 1, squeeze=False)[:, 0]
        for part, (title, shown) in zip(parts, examples, strict=True):
            part.suptitle(title, x=0.005, ha="left", fontsize=9)
            for axes, strip in zip(part.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
                numbers = np.rint(np.linspace(0, len(strip) - 1, pictures)).astype(int)
                lefts = side_by_side(axes, [strip[number] for number in numbers], pictures)
                for number, left in zip(numbers, lefts, strict=True):
                    axes.text(
                        left + 0.03 * strip.shape[1],
                        0.96 * strip.shape[1],
                        number + 1,
                        fontsize=7,
                        color="white",
                        bbox={"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5},
                    )
    return figure
