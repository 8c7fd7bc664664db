"""The Laplacian score: which features vary little between neighbours on a graph of the clips.

He, Cai, Niyogi 2005, Laplacian Score for Feature Selection, NIPS 18.
"""

import numpy as np
from threadpoolctl import threadpool_limits


def same_class(labels: np.ndarray) -> np.ndarray:
    """The graph on which clips of a class are neighbours: S_ij = 1 / n of the class, 0 between classes: (N, N).

    Section 4.1 of the paper: with it, the order is that of the Fisher score.
    """
    same = labels[:, None] == labels
    return np.asarray(same / same.sum(axis=1))


def scores(features: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """The score of every feature; the smaller, the better.

    Parameters
    ----------
    features : float (N, D)
    similarity : float (N, N)
        S, symmetric.

    Returns
    -------
    float64 (D,), 0 to 1 on the graph of `same_class`; infinite for a feature that is the same for all clips.
    """
    degree = similarity.sum(axis=1)  # the diagonal of D
    centred = features - degree @ features / degree.sum()
    with threadpool_limits(1):
        connected = (centred * (similarity @ centred)).sum(axis=0)
    variance = degree @ centred**2  # f̃ᵀ D f̃
    varies = variance > 1e-12 * (degree @ np.square(features, dtype=float))
    worst = np.full(len(variance), np.inf)
    return np.asarray(np.divide(variance - connected, variance, out=worst, where=varies))


def select(features: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """The best share of all features, at least one, in ascending order: int (kept,). Of equal ones the first count.

    Parameters
    ----------
    features : float (N, D)
        Of the training clips.
    labels : (N,)
        Of the training clips.
    share
        0 to 1.
    """
    order = np.argsort(scores(features.astype(float), same_class(labels)), kind="stable")
    return np.sort(order[: max(1, round(share * len(order)))])
