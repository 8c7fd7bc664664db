"""Figures of what the networks look at in all clips: where, when, and how well that agrees with known motion."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.networks.stanet.introspection import Attention, Grid
from pipeline.report.attention_scores import without_head_motion
from pipeline.report.drawing import BLUE, GREY, ORANGE, RED, grey, lay, styled


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
    with styled():
        figure = Figure(figsize=(13.5, 0.5 + 2.35 * len(examples)), layout="constrained")
        cells = figure.subplots(len(examples), 6, squeeze=False)
        for row, example in zip(cells, examples, strict=True):
            shown, face = example.attention, grey(example.frames[0])
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
                    colour = "white" if number else ORANGE
                    axes.contour(example.region, levels=[0.5], colors=colour, linewidths=1.1, linestyles="--")
    return figure


def _over(axes: Axes, field: np.ndarray, grid: Grid, name: str) -> None:
    low, high = np.nanmin(field), np.nanmax(field)
    lay(axes, field, grid, (low, high))
    axes.set_title(f"{name}\n{low:.3f} to {high:.3f}")


def temporal_attention(weights: np.ndarray, energy: np.ndarray) -> Figure:
    """When the networks look, over all clips: weights (N, T) and motion energy (N, T), median and quantiles."""
    with styled():
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
        third.xaxis.set_major_formatter(lambda value, _: f"{value:.0e}")  # the usual one writes formulas
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
    with styled():
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
