"""Accuracy, UF1 and UAR, pooled over the clips of all folds.

UF1 (unweighted F1) and UAR (unweighted average recall) give every class the same say, however few clips it has:
See et al., MEGC 2019, doi:10.1109/FG.2019.8756611.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def confusion_matrix(actual: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Number of clips by actual class (rows) and predicted class (columns): int (K, K).

    Raises
    ------
    ValueError
        A label is none of `classes`.
    """
    number = {name: index for index, name in enumerate(classes)}
    strangers = sorted((set(actual) | set(predicted)) - set(classes))
    if strangers:
        raise ValueError(f"expected classes {', '.join(classes)}, found {', '.join(strangers)}")
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    for row, column in zip(actual, predicted, strict=True):
        matrix[number[row], number[column]] += 1
    return matrix


def scores(confusion: np.ndarray) -> dict[str, float]:
    """`accuracy`, `uf1` and `uar` as fractions, from a confusion matrix (K, K), actual class in rows.

    A class without samples is left out of the means of UF1 and UAR.

    Raises
    ------
    ValueError
        There is no sample.
    """
    if confusion.sum() == 0:
        raise ValueError("no predictions to score")
    correct = np.diag(confusion)
    present = confusion.sum(axis=1) > 0
    f1 = 2 * correct[present] / (confusion.sum(axis=1) + confusion.sum(axis=0))[present]  # 2 TP / (2 TP + FP + FN)
    recall = correct[present] / confusion.sum(axis=1)[present]
    return {
        "accuracy": float(correct.sum() / confusion.sum()),
        "uf1": float(f1.mean()),
        "uar": float(recall.mean()),
    }


def per_subject(predictions: pd.DataFrame) -> pd.DataFrame:
    """Columns `subject,clips,correct,accuracy`, one row per subject in the order of their names."""
    correct = predictions["label"] == predictions["predicted"]
    table = correct.groupby(predictions["subject"]).agg(clips="size", correct="sum")
    return table.assign(accuracy=table["correct"] / table["clips"]).reset_index()
