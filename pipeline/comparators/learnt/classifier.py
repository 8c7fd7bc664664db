"""The classifier that all comparators share: a linear support vector machine on standardised features."""

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

COSTS = tuple(2.0**power for power in range(-8, 7, 2))
"""C of the machine, in steps of 4; one of them is chosen inside the fold."""


def classify(
    features: np.ndarray, labels: np.ndarray, subjects: np.ndarray, test: np.ndarray, class_weight: str = "none"
) -> np.ndarray:
    """Labels of the test clips of a fold.

    Scaler and Gram matrix are those of all training clips. C is the one with most training clips right if each
    training subject is held out in turn (pooled over subjects); of several the smallest, the first if there is but
    one subject.

    Parameters
    ----------
    features : float (N, ...)
        Of the training clips, finite.
    labels, subjects : (N,)
        Of the training clips.
    test : float (M, ...)
        Features of the test clips.
    class_weight
        `none` or `balanced`.

    Returns
    -------
    (M,) labels. Features that are equal for all training clips say nothing: then the largest class.
    """
    # One thread: the products are small, and their last digits must not depend on the number of cores.
    with threadpool_limits(1):
        scaler = StandardScaler().fit(_rows(features))
        train, held_out = scaler.transform(_rows(features)), scaler.transform(_rows(test))
        gram = train @ train.T  # (N, N)
        scale = np.trace(gram) / len(gram) or 1.0
        gram, between = gram / scale, held_out @ train.T / scale
        correct = {cost: _correct(gram, labels, subjects, cost, class_weight) for cost in COSTS}
        cost = max(COSTS, key=lambda each: (correct[each], -each))
        return np.asarray(_predict(gram, labels, between, cost, class_weight))


def _correct(gram: np.ndarray, labels: np.ndarray, subjects: np.ndarray, cost: float, class_weight: str) -> int:
    """How many training clips are right, each predicted from the other training subjects."""
    return sum(
        int(
            (
                _predict(gram[np.ix_(rest, rest)], labels[rest], gram[np.ix_(out, rest)], cost, class_weight)
                == labels[out]
            ).sum()
        )
        for rest, out in _leave_one_out(subjects)
    )


def _leave_one_out(subjects: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the other subjects and of one subject, for each; none if there is but one."""
    if len(np.unique(subjects)) > 1:
        yield from LeaveOneGroupOut().split(subjects, groups=subjects)


def _predict(gram: np.ndarray, labels: np.ndarray, between: np.ndarray, cost: float, class_weight: str) -> np.ndarray:
    """Labels for the rows of `between`, kernels with the training clips."""
    if len(np.unique(labels)) == 1:
        return np.repeat(labels[:1], len(between))
    machine = SVC(C=cost, kernel="precomputed", class_weight=None if class_weight == "none" else class_weight)
    return np.asarray(machine.fit(gram, labels).predict(between))


def _rows(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1).astype(float)
