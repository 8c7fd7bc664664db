"""Kernelised group sparse learning (KGSL): regression onto the classes that uses few groups of features.

Zong, Huang, Zheng, Cui, Zhao 2018, doi:10.1109/TMM.2018.2820321, section IV:

    min_B ‖Y - Σ_i K_i B_i‖² + μ Σ_i ‖B_i‖_F

Solved in the form with one weight per group, which has the same minimum (Bach, Jenatton, Mairal, Obozinski 2012,
doi:10.1561/2200000015, section 1.5), since ‖B_i‖_F = min_η ½ (‖B_i‖² / η_i + η_i): for fixed η ≥ 0 it is a ridge
regression of N unknowns, and what remains is a smooth convex function of as many variables as there are groups.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics.pairwise import additive_chi2_kernel
from sklearn.model_selection import GroupKFold
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

SHARES = tuple(2.0**-power for power in range(1, 7))
"""μ as shares of the smallest μ with which no group is left, in the order in which they are tried; one of them is
chosen inside the fold."""
INNER_FOLDS = 5
TOLERANCE = 1e-4
"""Of ‖K_iᵀ α‖² - 1, which is 0 for every group in use at the minimum."""
JOINING = 10
"""Groups that join the minimisation at a time, those that miss the condition by most."""


@dataclass(frozen=True)
class Solution:
    """The minimum: B_i = η_i K_iᵀ α, and the residual is ½ μ α."""

    weights: np.ndarray
    """η (G,), 0 for groups that are not used; equals ‖B_i‖_F."""
    dual: np.ndarray
    """α (N, K)."""

    def regressors(self, kernels: np.ndarray) -> np.ndarray:
        """B (G, n, K) of the kernels (G, N, n) that it was fitted to."""
        return np.asarray(self.weights[:, None, None] * (kernels.transpose(0, 2, 1) @ self.dual))


def largest_penalty(kernels: np.ndarray, targets: np.ndarray) -> float:
    """The smallest μ with which B = 0 is the minimum: 2 max_i ‖K_iᵀ Y‖_F of kernels (G, N, n), targets (N, K)."""
    return float(2 * np.linalg.norm(kernels.transpose(0, 2, 1) @ targets, axis=(1, 2)).max())


def fit(
    kernels: np.ndarray,
    targets: np.ndarray,
    penalty: float,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
    squares: np.ndarray | None = None,
) -> Solution:
    """The minimum for one μ.

    Most groups end up unused, so they join the minimisation only when they are found to be missing.

    Parameters
    ----------
    kernels : float64 (G, N, n)
    targets : float64 (N, K)
    penalty
        μ > 0.
    start
        η to start from (G,); zeros if it is None.
    tolerance
        Of the conditions of the minimum, ‖K_iᵀ α‖² = 1 where η_i > 0 and ≤ 1 elsewhere.
    squares
        `products(kernels)`, for whoever fits more than once.
    """
    squares = products(kernels) if squares is None else squares
    ridge = penalty / 2 * np.eye(kernels.shape[1])
    weights = np.zeros(len(kernels)) if start is None else start.copy()
    used = weights > 0
    while True:
        if used.any():
            weights[used] = _minimum(squares[used], targets, ridge, weights[used], tolerance)
        alpha = _dual(weights, squares, targets, ridge)
        missed = np.where(used, 0, _lengths(squares, alpha) - 1)
        joining = np.argsort(-missed, kind="stable")[:JOINING]
        joining = joining[missed[joining] > tolerance]
        if not len(joining):
            return Solution(weights, alpha)
        used[joining] = True


def products(kernels: np.ndarray) -> np.ndarray:
    """K_i K_iᵀ of kernels (G, N, n): (G, N · N)."""
    return np.asarray((kernels @ kernels.transpose(0, 2, 1)).reshape(len(kernels), -1))


def _minimum(
    squares: np.ndarray, targets: np.ndarray, ridge: np.ndarray, start: np.ndarray, tolerance: float
) -> np.ndarray:
    """η (G,) of the minimum with the groups of `squares` alone."""

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        alpha = _dual(weights, squares, targets, ridge)
        return float((targets * alpha).sum() + weights.sum()), 1 - _lengths(squares, alpha)

    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(start),
        options={"gtol": tolerance, "ftol": 0, "maxiter": 1000, "maxfun": 2000},
    )
    return np.asarray(found.x)


def _dual(weights: np.ndarray, squares: np.ndarray, targets: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """α (N, K): the ridge regression for fixed η."""
    return np.asarray(np.linalg.solve((weights @ squares).reshape(ridge.shape) + ridge, targets))


def _lengths(squares: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """‖K_iᵀ α‖² (G,), which is the sum over K_i K_iᵀ times α αᵀ."""
    return np.asarray(squares @ (alpha @ alpha.T).ravel())


def classify(
    features: np.ndarray, labels: np.ndarray, subjects: np.ndarray, test: np.ndarray, class_weight: str = "none"
) -> np.ndarray:
    """Labels of the test clips of a fold: the class with the largest regression.

    Kernels and their centring are those of all training clips. μ is the one with most training clips right over
    five folds of training subjects; of several the largest, the first if there is but one subject.

    Parameters
    ----------
    features : float (N, G, D)
        Histograms of the training clips, by group; finite, not negative.
    labels, subjects : (N,)
        Of the training clips.
    test : float (M, G, D)
        Of the test clips.
    class_weight
        `none` or `balanced`.

    Returns
    -------
    (M,) labels. Features that are equal for all training clips say nothing: then the largest class.
    """
    # One thread: the products are small, and their last digits must not depend on the number of cores.
    with threadpool_limits(1):
        train, between = kernels(features, test)
        folds = min(INNER_FOLDS, len(np.unique(subjects)))
        correct = np.zeros(len(SHARES), int)
        if folds > 1:
            for rest, out in GroupKFold(folds).split(features, groups=subjects):
                path = _predict(
                    train[:, rest][:, :, rest], labels[rest], train[:, out][:, :, rest], SHARES, class_weight
                )
                correct += (path == labels[out]).sum(axis=1)
        shares = SHARES[: int(correct.argmax()) + 1]
        return np.asarray(_predict(train, labels, between, shares, class_weight)[-1])


def kernels(features: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """χ² kernels of every group, centred on the training clips and of unit mean diagonal there.

    Parameters
    ----------
    features : float (N, G, D)
    test : float (M, G, D)

    Returns
    -------
    float64 (G, N, N) between training clips and (G, M, N) between test and training clips; zeros for a group that is
    the same for all training clips.
    """
    train, between = [], []
    for group in range(features.shape[1]):
        known = np.ascontiguousarray(features[:, group], float)
        # -Σ (x - y)² / (x + y), which is Σ 4 x y / (x + y) up to terms of x or y alone: centring takes those away.
        kernel = additive_chi2_kernel(known)
        other = additive_chi2_kernel(np.ascontiguousarray(test[:, group], float), known)
        columns, mean = kernel.mean(axis=0), kernel.mean()
        other = other - other.mean(axis=1, keepdims=True) - columns + mean
        kernel = kernel - columns[:, None] - columns + mean
        scale = np.trace(kernel) / len(kernel)
        scale = scale if scale > 1e-12 else np.inf
        train.append(kernel / scale)
        between.append(other / scale)
    return np.stack(train), np.stack(between)


def _predict(
    train: np.ndarray, labels: np.ndarray, between: np.ndarray, shares: tuple[float, ...], class_weight: str
) -> np.ndarray:
    """Labels for the kernels `between` (G, M, N), with one μ after the other: (len(shares), M)."""
    classes, numbers = np.unique(labels, return_inverse=True)
    weights = np.ones(len(labels)) if class_weight == "none" else compute_sample_weight(class_weight, labels)
    targets = np.eye(len(classes))[numbers]
    mean = np.average(targets, axis=0, weights=weights)
    # Weighted least squares: every clip's row counts by the root of its weight.
    rows = np.sqrt(weights)[:, None]
    known, wanted = rows * train, rows * (targets - mean)
    largest, squares = largest_penalty(known, wanted), products(known)
    predicted, start = [], None
    for share in shares:
        score = np.tile(mean, (between.shape[1], 1))
        if largest > 0:
            solution = fit(known, wanted, share * largest, start, squares=squares)
            start = solution.weights
            score = score + (between @ solution.regressors(known)).sum(axis=0)
        predicted.append(classes[score.argmax(axis=1)])
    return np.stack(predicted)
