"""Every picture of a study, as matplotlib figures that no global state can change.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), cividis and viridis, which colour-blind readers can tell
apart; only the flow has the colour wheel that the field is used to. `write` makes equal figures equal bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from pipeline.evaluation.significance import wilson_interval
from pipeline.report.attention_scores import motion_energy, without_head_motion
from pipeline.stanet.introspection import Attention, Grid

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
        figure.savefig(path, dpi=90, metadata=nameless, facecolor="white")


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
        Of a network with or without its branches; what it does not have is not drawn.
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
    masks = attention.mask is not None
    heights = [1.25] * rows * (1 + masks) + [2.2]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(14, 0.9 + sum(heights) * 1.1), layout="constrained")
        figure.suptitle(title, fontsize=12)
        grid = figure.add_gridspec(len(heights), _TILES + 1, height_ratios=heights)
        limits = (attention.mask.min(), attention.mask.max()) if masks else None
        named = attention.weights is not None
        for row in range(rows):
            shown = range(row * _TILES, min(count, (row + 1) * _TILES))
            axes = figure.add_subplot(grid[row * (1 + masks), :_TILES])
            lefts = _side_by_side(axes, [flow_colours(flow[i], fastest) for i in shown], _TILES)
            axes.text(-0.08 * size, -0.04 * size, "flow frame" + "\nweight" * named, ha="right")
            for i, left in zip(shown, lefts, strict=True):
                weight = f"\n{attention.weights[i]:.4f}" if named else ""
                axes.text(left + size / 2, -0.04 * size, f"{i + 1}{weight}", ha="center")
            if masks:
                axes = figure.add_subplot(grid[row * 2 + 1, :_TILES])
                for i, left in zip(shown, _side_by_side(axes, [_grey(frames[i]) for i in shown], _TILES), strict=True):
                    image = _lay(axes, attention.grid.over_frame(attention.mask[i]), attention.grid, limits, left)
        _wheel_key(figure.add_subplot(grid[0, _TILES]), fastest)
        if masks:
            scale = figure.add_subplot(grid[1, _TILES])
            scale.set_axis_off()
            figure.colorbar(image, ax=scale, label="mask (mean\nover channels)", fraction=0.25, location="left")
        _course(figure, grid[len(heights) - 1, :], motion_energy(seen), attention.weights, truth)
    return figure


def _side_by_side(axes: Axes, pictures: Sequence[np.ndarray], columns: int) -> list[float]:
    """Pictures (S, S, 3) in a row with room for `columns`; gives the x of the left edge of each, in pixels.

    One `Axes` for all: laying out one for each would take most of the time of a report.
    """
    size = len(pictures[0])
    lefts = [1.08 * size * column - 0.5 for column in range(columns)]
    for picture, left in zip(pictures, lefts, strict=False):
        axes.imshow(picture, interpolation="bilinear", extent=_extent(size, left))
    axes.set(xlim=(lefts[0], lefts[-1] + size), ylim=(size - 0.5, -0.5))
    axes.set_axis_off()
    return lefts[: len(pictures)]


def _extent(size: int, left: float) -> tuple[float, float, float, float]:
    return left, left + size, size - 0.5, -0.5


def _grey(frame: np.ndarray) -> np.ndarray:
    """The frame without colour, which belongs to what is laid over it: uint8 (S, S, 3)."""
    return np.repeat(np.rint(frame.mean(axis=-1, keepdims=True)).astype(np.uint8), 3, axis=-1)


def _lay(axes: Axes, field: np.ndarray, grid: Grid, limits: tuple[float, float], left: float = -0.5) -> AxesImage:
    """A field (S, S) over the frame that is drawn from `left` on; the border is that of the network's input."""
    image = axes.imshow(
        field, cmap="viridis", alpha=0.6, vmin=limits[0], vmax=limits[1], extent=_extent(len(field), left)
    )
    corner = left + grid.corner, grid.corner - 0.5
    axes.add_patch(Rectangle(corner, grid.crop, grid.crop, fill=False, edgecolor="white", linewidth=0.8))
    return image


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


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix as the paper draws it (Figures 3 to 5): shares of each actual class, with counts.

    Parameters
    ----------
    matrix
        int (K, K), actual class in rows.
    classes
        K names.
    """
    with matplotlib.rc_context(_STYLE):
        side = 1.6 + 0.95 * len(classes)
        figure = Figure(figsize=(side + 0.7, side), layout="constrained")
        axes = figure.add_subplot()
        total = matrix.sum(axis=1, keepdims=True)
        share = np.divide(100 * matrix, total, out=np.zeros(matrix.shape), where=total > 0)
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        for row, column in np.ndindex(matrix.shape):
            ink = "white" if share[row, column] > 55 else "black"
            axes.text(column, row - 0.08, f"{share[row, column]:.1f} %", ha="center", va="center", color=ink)
            axes.text(column, row + 0.2, matrix[row, column], ha="center", va="center", color=ink, fontsize=7)
        names = [
            f"{name}\n({count} clip{'' if count == 1 else 's'})"
            for name, count in zip(classes, total[:, 0], strict=True)
        ]
        axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), names)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label="share of the actual class (%)", shrink=0.8)
    return figure


def comparison(correct: int, clips: int, baseline: tuple[str, float], published: Sequence[tuple[str, float]]) -> Figure:
    """Accuracy of the study with its 95 % interval, beside a guess and what the paper gives.

    Parameters
    ----------
    correct, clips
        Of the study.
    baseline
        Name and accuracy (a fraction) of always saying the same.
    published
        Method and accuracy in per cent, in the order of the paper.
    """
    with matplotlib.rc_context(_STYLE):
        rows = len(published) + 2
        figure = Figure(figsize=(7.5, 0.8 + 0.32 * rows), layout="constrained")
        axes = figure.add_subplot()
        low, high = wilson_interval(correct, clips)
        axes.axvspan(100 * low, 100 * high, color=BLUE, alpha=0.12, linewidth=0)
        names = [baseline[0], *(name for name, _ in published), "this study"]
        values = [100 * baseline[1], *(value for _, value in published), 100 * correct / clips]
        axes.errorbar(
            values[-1], rows - 1, xerr=[[values[-1] - 100 * low], [100 * high - values[-1]]], color=BLUE, capsize=4
        )
        for row, value in enumerate(values):
            colour = {0: GREY, rows - 1: BLUE}.get(row, ORANGE)
            axes.plot(value, row, marker="o" if row else "D", color=colour, markeredgecolor="black", markersize=7)
            axes.annotate(f"{value:.2f}", (value, row), (0, 7), textcoords="offset points", ha="center", fontsize=7.5)
        axes.set_yticks(range(rows), names)
        axes.set(xlabel="accuracy (%)", xlim=(0, 100), ylim=(-0.5, rows - 0.25))
        axes.grid(axis="x", color="0.9")
    return figure


def accuracy_per_subject(table: pd.DataFrame, pooled: float) -> Figure:
    """Accuracy of each fold, its 95 % interval, its number of clips: columns `subject,clips,correct,accuracy`."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.5, 1.1 + 0.3 * len(table)), layout="constrained")
        axes = figure.add_subplot()
        rows = np.arange(len(table))[::-1]
        accuracy = 100 * table["accuracy"].to_numpy()
        bounds = 100 * np.array([wilson_interval(row.correct, row.clips) for row in table.itertuples()])
        axes.barh(rows, accuracy, color=BLUE, alpha=0.75)
        axes.errorbar(
            accuracy,
            rows,
            xerr=[accuracy - bounds[:, 0], bounds[:, 1] - accuracy],
            fmt="none",
            ecolor="black",
            elinewidth=1,
            capsize=2.5,
        )
        axes.axvline(100 * pooled, color=RED, linestyle="--", linewidth=1.2, label=f"all clips: {100 * pooled:.1f} %")
        axes.set_yticks(rows, table["subject"])
        right = axes.secondary_yaxis("right")
        right.set_yticks(rows, [f"{row.correct} of {row.clips} clips" for row in table.itertuples()])
        right.tick_params(length=0)
        right.spines[:].set_visible(False)
        axes.set(xlabel="accuracy (%)", xlim=(0, 100), ylim=(-0.7, len(table) - 0.3))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def training_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss and accuracy on the training views of every epoch: a thin line per fold, their mean in black.

    Parameters
    ----------
    curves
        By held-out subject: columns `epoch,loss,cross_entropy,mask_l1,accuracy`.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        named = len(curves) <= 8  # more lines than that cannot be told apart
        colours = [BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#F0E442", GREY]
        for axes, column, label, factor in zip(
            figure.subplots(1, 3),
            ("cross_entropy", "accuracy", "mask_l1"),
            ("cross entropy (nats)", "accuracy on training views (%)", "ℓ1 norm of the mask, per clip"),
            (1, 100, 1),
            strict=True,
        ):
            for number, (subject, curve) in enumerate(sorted(curves.items())):
                colour = colours[number] if named else BLUE
                axes.plot(
                    curve["epoch"],
                    factor * curve[column],
                    color=colour,
                    linewidth=1,
                    alpha=1 if named else 0.35,
                    label=f"without {subject}" if named else None,
                )
            mean = factor * pd.concat([curve.set_index("epoch")[column] for curve in curves.values()], axis=1).mean(
                axis=1
            )
            point = "o" if len(mean) == 1 else None  # a single epoch is no line
            axes.plot(mean.index, mean, color="black", marker=point, linewidth=2, label="mean of the folds")
            axes.set(xlabel="epoch", ylabel=label, ylim=(0, None))
            axes.grid(color="0.9")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


class Example(NamedTuple):
    """A clip to draw."""

    title: str
    frames: np.ndarray
    """uint8 (F, S, S, 3) RGB."""
    flow: np.ndarray
    """(T, 2, S, S), pixels per frame."""
    attention: Attention
    region: np.ndarray | None = None
    """bool (S, S), where the expression moves, if that is known."""


def spatial_attention(examples: Sequence[Example]) -> Figure:
    """Where the networks look (the paper's Figure 6): one row per clip, means over time laid over the first frame.

    The face; the speed of the flow without the head's motion; the third feature map before attention, the mask,
    the mask's standard deviation over channels, and the feature map after attention; all of them means over time, the
    maps but that one over channels, each with a scale of its own.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(13.5, 0.5 + 2.35 * len(examples)), layout="constrained")
        cells = figure.subplots(len(examples), 6, squeeze=False)
        for row, example in zip(cells, examples, strict=True):
            shown, face = example.attention, _grey(example.frames[0])
            seen = without_head_motion(np.asarray(example.flow, np.float32)[..., shown.grid.inside, shown.grid.inside])
            speed = np.full(face.shape[:2], np.nan)
            speed[shown.grid.inside, shown.grid.inside] = np.hypot(seen[:, 0], seen[:, 1]).mean(axis=0)
            for axes in row:
                axes.imshow(face)
                axes.set_axis_off()
            row[0].imshow(example.frames[0])
            row[0].set_title(example.title, loc="left")
            _over(row[1], speed, shown.grid, "speed, head taken out (px/frame)")
            for axes, field, name in zip(
                row[2:],
                (shown.before, shown.mask, shown.contrast, shown.after),
                ("before attention", "mask", "mask contrast", "after attention"),
                strict=True,
            ):
                if field is None:
                    axes.set_title("no spatial attention", color=GREY)
                else:
                    _over(axes, shown.grid.over_frame(field.mean(axis=0)), shown.grid, name)
            if example.region is not None and example.region.any():
                for number, axes in enumerate(row):
                    colour = "white" if number else "#E69F00"
                    axes.contour(example.region, levels=[0.5], colors=colour, linewidths=1.1, linestyles="--")
    return figure


def _over(axes: Axes, field: np.ndarray, grid: Grid, name: str) -> None:
    low, high = np.nanmin(field), np.nanmax(field)
    _lay(axes, field, grid, (low, high))
    axes.set_title(f"{name}\n{low:.3f} to {high:.3f}")


def temporal_attention(weights: np.ndarray, energy: np.ndarray) -> Figure:
    """When the networks look, over all clips: weights (N, T) and motion energy (N, T), median and quantiles."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        first, second, third = figure.subplots(1, 3)
        frames = np.arange(1, weights.shape[1] + 1)
        for axes, table, colour, label in (
            (first, weights, BLUE, "weight"),
            (second, energy, RED, "motion energy (px/frame)"),
        ):
            low, quarter, median, three, high = np.quantile(table, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0)
            axes.fill_between(frames, low, high, color=colour, alpha=0.15, linewidth=0, label="95 % of the clips")
            axes.fill_between(frames, quarter, three, color=colour, alpha=0.3, linewidth=0, label="half of the clips")
            axes.plot(frames, median, color=colour, linewidth=2, label="median")
            axes.set(xlabel="flow frame", ylabel=label, ylim=(0, 1.3 * high.max()), xlim=(1, len(frames)))
            axes.legend(frameon=False, fontsize=7.5, loc="upper right")
        first.axhline(1 / len(frames), color=GREY, linestyle="--", linewidth=1)
        third.hist(np.maximum(weights.ravel(), 1e-6), bins=np.geomspace(1e-6, 1, 49), color=BLUE)
        third.axvline(1 / len(frames), color=GREY, linestyle="--", linewidth=1, label=f"1/T = {1 / len(frames):.3f}")
        third.set(xscale="log", xlabel="weight (below 1e-6: drawn there)", ylabel="frames of all clips", xlim=(1e-6, 1))
        third.legend(frameon=False, loc="upper left")
    return figure


def attention_scores(scores: pd.DataFrame) -> Figure:
    """How well attention finds where and when the face moves: a dot per clip, the mean in black, chance dashed.

    Parameters
    ----------
    scores
        Columns `kind,what,measure,value,chance`, as `attention_scores.score` gives them.
    """
    spatial = scores[scores["measure"] == "roc_auc"]
    temporal = scores[scores["measure"] == "rank_correlation"]
    with matplotlib.rc_context(_STYLE):
        count = max(spatial["what"].nunique(), temporal["what"].nunique())
        figure = Figure(figsize=(11.5, 1.2 + 0.45 * count), layout="constrained")
        for axes, table, label, limits in zip(
            figure.subplots(1, 2),
            (spatial, temporal),
            ("where: area under the ROC curve", "when: rank correlation with the motion"),
            ((0, 1), (-1, 1)),
            strict=True,
        ):
            groups = [(what, group["value"].dropna().to_numpy()) for what, group in table.groupby("what", sort=False)]
            groups.reverse()  # rows are counted from below
            jitter = np.random.default_rng(0)
            for row, (what, values) in enumerate(groups):
                colour = BLUE if what in ("mask", "weights") else ORANGE
                axes.scatter(values, row + jitter.uniform(-0.28, 0.28, len(values)), s=9, color=colour, alpha=0.6)
                if len(values):
                    axes.plot([values.mean()] * 2, [row - 0.38, row + 0.38], color="black", linewidth=2.5)
            axes.axvline(table["chance"].iloc[0], color=GREY, linestyle="--", linewidth=1)
            axes.set_yticks(range(len(groups)), [what for what, _ in groups])
            axes.set(xlabel=label, xlim=limits, ylim=(-0.6, len(groups) - 0.4))
            axes.grid(axis="x", color="0.92")
    return figure


def strips(examples: Sequence[tuple[str, Sequence[np.ndarray]]], pictures: int = 8) -> Figure:
    """Clips as strips of `pictures` pictures, evenly spaced in time.

    Parameters
    ----------
    examples
        Title of each clip and its strips, one below the other: uint8 (F, S, S, 3) RGB.
    """
    with matplotlib.rc_context(_STYLE):
        count = sum(len(strips) for _, strips in examples)
        figure = Figure(figsize=(1.2 * pictures, 1.2 * count + 0.3 * len(examples)), layout="constrained")
        parts = figure.subfigures(len(examples), 1, squeeze=False)[:, 0]
        for part, (title, shown) in zip(parts, examples, strict=True):
            part.suptitle(title, x=0.005, ha="left", fontsize=9)
            for axes, strip in zip(part.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
                numbers = np.rint(np.linspace(0, len(strip) - 1, pictures)).astype(int)
                lefts = _side_by_side(axes, [strip[number] for number in numbers], pictures)
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
