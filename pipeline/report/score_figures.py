"""Figures of how good the methods are: confusion, Table 1, accuracy per subject, training curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipeline.evaluation.significance import wilson_interval
from pipeline.report.drawing import BLUE, GREEN, GREY, ORANGE, RED, styled


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix as the paper draws it (Figures 3 to 5): shares of each actual class, with counts.

    Parameters
    ----------
    matrix
        int (K, K), actual class in rows.
    classes
        K names.
    """
    with styled():
        side = 1.6 + 0.95 * len(classes)
        figure = Figure(figsize=(side + 0.7, side), layout="constrained")
        axes = figure.add_subplot()
        image = _matrix(axes, matrix, classes)
        axes.set_yticks(range(len(classes)), _with_counts(classes, matrix))
        axes.set(ylabel="actual")
        figure.colorbar(image, ax=axes, label="share of the actual class (%)", shrink=0.8)
    return figure


def confusions(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Confusion matrices of several methods side by side, as in the paper's Figures 3 to 5.

    Parameters
    ----------
    matrices
        int (K, K) of each method, by its name, actual class in rows; all of the same clips.
    classes
        K names.
    """
    with styled():
        side = 1.2 + 0.75 * len(classes)
        figure = Figure(figsize=(side * len(matrices) + 1, side + 0.3), layout="constrained")
        row = figure.subplots(1, len(matrices), squeeze=False)[0]
        for number, (axes, (name, matrix)) in enumerate(zip(row, matrices.items(), strict=True)):
            _matrix(axes, matrix, classes)
            axes.set_yticks(range(len(classes)), _with_counts(classes, matrix) if number == 0 else [""] * len(classes))
            axes.set(title=name, ylabel="" if number else "actual")
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, classes: Sequence[str]) -> AxesImage:
    """A confusion matrix (K, K) with shares and counts in its cells."""
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(100 * matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(matrix.shape):
        ink = "white" if share[row, column] > 55 else "black"
        axes.text(column, row - 0.08, f"{share[row, column]:.1f} %", ha="center", va="center", color=ink)
        axes.text(column, row + 0.2, str(matrix[row, column]), ha="center", va="center", color=ink, fontsize=7)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", rotation_mode="anchor")
    axes.set(xlabel="predicted")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def _with_counts(classes: Sequence[str], matrix: np.ndarray) -> list[str]:
    """Names of the classes with their number of clips."""
    counts = matrix.sum(axis=1)
    return [f"{name}\n({count} clip{'' if count == 1 else 's'})" for name, count in zip(classes, counts, strict=True)]


def table1(table: pd.DataFrame) -> Figure:
    """Accuracy of every method with its 95 % intervals, sorted, and what was published as a hollow mark.

    Parameters
    ----------
    table
        Columns of table1.csv; the first row is the reference.
    """
    reference, baseline = table["method"].iloc[0], "largest_class"
    table = table.sort_values(["accuracy", "title"], ascending=[True, False], kind="stable")
    with styled():
        figure = Figure(figsize=(8.5, 1.3 + 0.36 * len(table)), layout="constrained")
        axes = figure.add_subplot()
        for row, (_, entry) in enumerate(table.iterrows()):
            colour = {reference: BLUE, baseline: GREY}.get(entry["method"], ORANGE)
            value = 100 * entry["accuracy"]
            low, high = 100 * entry["accuracy_low"], 100 * entry["accuracy_high"]
            axes.plot([low, high], [row, row], color=colour, linewidth=1.3)
            if not np.isnan(entry["accuracy_subjects_low"]):
                bounds = [100 * entry["accuracy_subjects_low"], 100 * entry["accuracy_subjects_high"]]
                axes.plot(bounds, [row, row], color=colour, linewidth=6, alpha=0.3, solid_capstyle="butt")
            axes.plot(value, row, marker="o", color=colour, markeredgecolor="black", markersize=6.5)
            axes.annotate(f"{value:.2f}", (value, row), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
        axes.plot([], [], color=GREY, linewidth=1.3, label="95 %, over clips")
        axes.plot([], [], color=GREY, linewidth=6, alpha=0.3, label="95 %, over subjects")
        published = 100 * table["published"].to_numpy(float)
        known = np.flatnonzero(~np.isnan(published))
        if len(known):
            axes.plot(
                published[known],
                known,
                linestyle="none",
                marker="D",
                markersize=7,
                color="white",
                markerfacecolor="none",
                markeredgecolor="black",
                label="published, under other protocols",
            )
        axes.set_yticks(range(len(table)), table["title"])
        axes.set(xlabel="accuracy (%)", xlim=(0, 100), ylim=(-0.6, len(table) - 0.3))
        axes.grid(axis="x", color="0.9")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


def accuracy_per_subject(table: pd.DataFrame, pooled: float) -> Figure:
    """Accuracy of each fold, its 95 % interval, its number of clips: columns `subject,clips,correct,accuracy`."""
    with styled():
        figure = Figure(figsize=(7.5, 1.1 + 0.3 * len(table)), layout="constrained")
        axes = figure.add_subplot()
        rows = np.arange(len(table))[::-1]
        accuracy = 100 * table["accuracy"].to_numpy()
        bounds = 100 * np.array(
            [wilson_interval(*counts) for counts in zip(table["correct"], table["clips"], strict=True)]
        )
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
        right.set_yticks(
            rows,
            [f"{correct} of {clips} clips" for correct, clips in zip(table["correct"], table["clips"], strict=True)],
        )
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
    with styled():
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
