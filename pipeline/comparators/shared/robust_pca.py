"""Robust principal component analysis: a matrix as low rank + sparse.

min ‖L‖_* + λ ‖S‖_1 subject to L + S = M, Candès, Li, Ma, Wright 2011, doi:10.1145/1970392.1970395, by the inexact
augmented Lagrange multiplier of Lin, Chen, Ma 2010, arXiv:1009.5055 (Algorithm 5).
"""

import numpy as np
from threadpoolctl import threadpool_limits

GROWTH = 1.5
TOLERANCE = 1e-7
ITERATIONS = 500


def decompose(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The low-rank and the sparse part, with λ = 1 / √max(m, n).

    Parameters
    ----------
    matrix : float64 (m, n)
        Fast if one side is short.

    Returns
    -------
    float64 (m, n) twice. Their sum is `matrix` up to a relative Frobenius norm of 1e-7.
    """
    if matrix.shape[0] < matrix.shape[1]:
        low_rank, sparse = decompose(matrix.T)
        return low_rank.T, sparse.T
    matrix = np.ascontiguousarray(matrix)  # the layout of the products below, so that sums of both are fast
    size = np.linalg.norm(matrix)
    sparse = np.zeros_like(matrix)
    if size == 0:
        return sparse.copy(), sparse
    # One thread: the products are narrow, and their last digits must not depend on the number of cores.
    with threadpool_limits(1):
        weight = 1 / np.sqrt(max(matrix.shape))  # λ
        largest = float(np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix)[-1]))  # ‖M‖_2
        multiplier = matrix / max(largest, np.abs(matrix).max() / weight)  # Y_0
        penalty = 1.25 / largest  # μ_0
        low_rank, scaled, rest = (np.empty_like(matrix) for _ in range(3))  # reused: new ones take a fifth longer
        for _ in range(ITERATIONS):
            np.divide(multiplier, penalty, out=scaled)
            np.subtract(matrix, sparse, out=rest)
            rest += scaled
            _shrink_singular_values(rest, 1 / penalty, out=low_rank)
            np.subtract(matrix, low_rank, out=rest)
            np.add(rest, scaled, out=sparse)
            # sign(x) · max(|x| - λ / μ, 0)
            sparse -= np.clip(sparse, -weight / penalty, weight / penalty, out=scaled)
            rest -= sparse
            if np.linalg.norm(rest) <= TOLERANCE * size:
                break
            rest *= penalty
            multiplier += rest
            penalty = min(penalty * GROWTH, 1.25e7 / largest)
    return low_rank, sparse


def _shrink_singular_values(matrix: np.ndarray, threshold: float, out: np.ndarray) -> None:
    """U max(Σ - threshold, 0) Vᵀ of a matrix with a short second side, from the eigenvectors V of its Gram matrix."""
    squares, right = np.linalg.eigh(matrix.T @ matrix)
    singular = np.sqrt(np.maximum(squares, 0))
    kept = np.divide(np.maximum(singular - threshold, 0), singular, out=np.zeros_like(singular), where=singular > 0)
    np.matmul(matrix, (right * kept) @ right.T, out=out)
