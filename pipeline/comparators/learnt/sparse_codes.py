"""Sparse codes by a dictionary that is learnt.

min ½ ‖x - c D‖² + α ‖c‖_1; the dictionary by Mairal, Bach, Ponce, Sapiro 2010, JMLR 11, 19-60.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.decomposition import MiniBatchDictionaryLearning, SparseCoder
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


def learn(rows: np.ndarray, atoms: int, sparsity: float, seed: int) -> np.ndarray:
    """A dictionary of unit vectors.

    Parameters
    ----------
    rows : float (n, D)
        Of the training clips.
    atoms
        How many.
    sparsity
        α.
    seed
        Of the order of the rows.

    Returns
    -------
    float64 (atoms, D).
    """
    learner = MiniBatchDictionaryLearning(
        atoms, alpha=sparsity, fit_algorithm="cd", transform_algorithm="lasso_cd", random_state=seed
    )
    with _coordinate_descent():
        return np.asarray(learner.fit(rows.astype(float)).components_)


def encode(rows: np.ndarray, dictionary: np.ndarray, sparsity: float) -> np.ndarray:
    """Codes of rows (n, D) by the atoms of a dictionary (atoms, D): float64 (n, atoms)."""
    coder = SparseCoder(dictionary, transform_algorithm="lasso_cd", transform_alpha=sparsity)
    with _coordinate_descent():
        return np.asarray(coder.transform(rows.astype(float)))


def pooled(clips: np.ndarray, dictionary: np.ndarray, sparsity: float) -> np.ndarray:
    """The mean code of each clip's frames: (N, T, D) -> float64 (N, atoms)."""
    codes = encode(clips.reshape(-1, clips.shape[-1]), dictionary, sparsity)
    return np.asarray(codes.reshape(len(clips), -1, len(dictionary)).mean(axis=1))


@contextmanager
def _coordinate_descent() -> Iterator[None]:
    """On one thread, so that the last digits do not depend on the number of cores.

    And without the warning that its limit of 1000 rounds came before its tolerance: with atoms that resemble each
    other the last rounds move next to nothing (a duality gap of 1e-6), and it would be said for every single row.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
