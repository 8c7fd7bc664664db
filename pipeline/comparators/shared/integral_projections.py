"""Spatio-temporal local binary patterns of integral projections (STLBP-IP).

Huang, Wang, Zhao, Pietikäinen 2015, doi:10.1109/ICCVW.2015.10.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.comparators.shared import binary_patterns
from pipeline.comparators.shared.blocks import blocks, normalised

NEIGHBOURS = binary_patterns.circle(8)[:, ::-1]
"""In the picture of a projection and time, (time, space): P = 8, R = 1."""
BINS = binary_patterns.uniform_bins(8)
"""Their 256 patterns fall into 59 bins."""


def differences(grey: np.ndarray) -> np.ndarray:
    """D_t = |I_t - I_1|, from the second frame on: (F, H, W) -> (F - 1, H, W).

    The first one, all zeros, says nothing and is left out. The paper leaves the sign open.
    """
    return np.asarray(np.abs(grey[1:] - grey[0]))


def patterns(motion: np.ndarray, grid: Sequence[int], mask: int) -> np.ndarray:
    """Patterns of both integral projections in every block.

    Parameters
    ----------
    motion : float64 (T, H, W)
        What moves, frame by frame.
    grid
        Blocks: rows, columns.
    mask
        W, odd: elements that a one-dimensional pattern spans, its centre among them.

    Returns
    -------
    float64 (blocks, 2 · 2^(W - 1) + 2 · 59): histograms, each of which sums to 1, in the order shape of the
    projection onto the rows, onto the columns; motion of the one, of the other.

    Raises
    ------
    InputError
        There are more blocks than pixels, or a block or the clip is too small for a pattern.
    """
    described = []
    for rows, columns in blocks(motion.shape[1:], grid):
        block = motion[:, rows, columns]  # (T, h, w)
        projections = (block.mean(axis=2), block.mean(axis=1))  # (T, h), (T, w)
        described.append(
            np.concatenate(
                [_shape(projection, mask) for projection in projections]
                + [_motion(projection) for projection in projections]
            )
        )
    return np.stack(described)


def _shape(projection: np.ndarray, mask: int) -> np.ndarray:
    """One-dimensional patterns of every frame's projection, their histogram averaged over frames: (2^(W - 1),)."""
    half = mask // 2
    neighbours = [(0, step) for step in range(-half, half + 1) if step]
    codes = binary_patterns.codes(projection, np.array(neighbours, float), margin=(0, half))
    # Every frame has as many codes, so that the histogram of all is the average.
    return normalised(np.bincount(codes.ravel(), minlength=2 ** (mask - 1)))


def _motion(projection: np.ndarray) -> np.ndarray:
    """Uniform patterns of the picture whose rows are the projections of all frames: (59,)."""
    codes = binary_patterns.codes(projection, NEIGHBOURS, margin=(1, 1))
    return normalised(np.bincount(BINS[codes].ravel(), minlength=int(BINS.max()) + 1))
