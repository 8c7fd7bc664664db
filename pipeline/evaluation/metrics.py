"""Accuracy, UF1 and UAR, pooled over the clips of all folds.

UF1 (unweighted F1) and UAR (unweighted average recall) give every class the same say, however few clips it has:
See et al., MEGC 2019, doi:10.1109/FG.2019.8756611.

A metric is a function of the confusion matrix and a line in `METRICS`; whatever writes, resamples or shows scores goes
through that table.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd


class Metric(NamedTuple):
    """A score of a study."""

    label: str
    """Its name as people read it."""
    score: Callable[[np.ndarray], float]
    """Its value, from a confusion matrix int (K, K) with at least one sample, actual class in rows."""


def accuracy(confusion: np.ndarray) -> float:
    """Share of the samples that are right, from a confusion matrix (K, K), actual class in rows."""
    return float(np.trace(confusion) / confusion.sum())


def uf1(confusion: np.ndarray) -> float:
    """Mean of F1 over the classes that have samples, from a confusion matrix (K, K), actual class in rows."""
    present = confusion.sum(axis=1) > 0
    hits = np.diag(confusion)[present]
    f1 = 2 * hits / (confusion.sum(axis=1) + confusion.sum(axis=0))[present]  # 2 TP / (2 TP + FP + FN)
    return float(f1.mean())


def uar(confusion: np.ndarray) -> float:
    """Mean of recall over the classes that have samples, from a confusion matrix (K, K), actual class in rows."""
    present = confusion.sum(axis=1) > 0
    return float((np.diag(confusion)[present] / confusion.sum(axis=1)[present]).mean())


METRICS = {"accuracy": Metric("Accuracy", accuracy), "uf1": Metric("UF1", uf1), "uar": Metric("UAR", uar)}
"""Every metric by its key in metrics.json, in the order in which they are written and shown."""


def confusion_matrix(actual: Iterable[str], predicted: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Number of clips by actual class (rows) and predicted class (columns): int (K, K).

    Raises
    ------
    ValueError
        A label is none of `classes`.
    """
    number = {name: index for index, name in enumerate(classes)}
    actual, predicted = list(actual), list(predicted)
    strangers = sorted((set(actual) | set(predicted)) - set(classes))
    if strangers:
        raise ValueError(f"expected classes {', '.join(classes)}, found {', '.join(strangers)}")
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    for row, column in zip(actual, predicted, strict=True):
        matrix[number[row], number[column]] += 1
    return matrix


def scores(confusion: np.ndarray) -> dict[str, float]:
    """Every metric of `METRICS` by its key, as a fraction, from a confusion matrix (K, K), actual class in rows.

    A class without samples is left out of the means of UF1 and UAR.

    Raises
    ------
    ValueError
        There is no sample.
    """
    if confusion.sum() == 0:
        raise ValueError("no predictions to score")
    return {name: metric.score(confusion) for name, metric in METRICS.items()}


def per_subject(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the clips of each subject, from predictions with the columns `subject,label,predicted`.

    Returns
    -------
    Columns `subject,clips,correct,accuracy`, one row per subject in the order of their names.
    """
    correct = predictions["label"] == predictions["predicted"]
    grouped = correct.groupby(predictions["subject"])
    table = pd.DataFrame({"clips": grouped.size(), "correct": grouped.sum()})
    return table.assign(accuracy=table["correct"] / table["clips"]).reset_index()


def per_part(predictions: pd.DataFrame, databases: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Scores of all predictions and, where there are several databases, of those for the clips of each.

    The part of a database is the same predictions without the others, not another training.

    Parameters
    ----------
    predictions
        Columns `label,predicted`.
    databases
        Database of each row of `predictions`.
    classes
        K names.

    Returns
    -------
    Columns `part,clips` and the keys of `METRICS`: a row `full`, then one per database in the order of their names.
    """
    names = sorted(databases.unique())
    parts = {"full": predictions}
    if len(names) > 1:
        parts |= {name: predictions[(databases == name).to_numpy()] for name in names}
    return pd.DataFrame(
        {"part": name, "clips": len(part), **scores(confusion_matrix(part["label"], part["predicted"], classes))}
        for name, part in parts.items()
    )
