"""Regions of a face: for every pixel the number of the region that it belongs to."""

from collections.abc import Sequence

import numpy as np

from pipeline.comparators.shared import blocks
from pipeline.errors import InputError


def grid(shape: Sequence[int], cells: Sequence[int]) -> np.ndarray:
    """A grid of equal cells: int (H, W), 0 … rows · columns - 1 in reading order.

    Parameters
    ----------
    shape
        H, W.
    cells
        Rows, columns.

    Raises
    ------
    InputError
        There are more cells than pixels.
    """
    return blocks.numbers(shape, cells)


def checked(regions: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """`regions` if they can be used: int (H, W), -1 for a pixel outside of all, and a pixel in each up to the highest.

    Raises
    ------
    InputError
        They have another shape, are no whole numbers, or one has no pixel.
    """
    if regions.shape != tuple(shape) or not np.issubdtype(regions.dtype, np.integer):
        raise InputError(
            f"regions: expected whole numbers of shape {tuple(shape)}, one per pixel of the flow; "
            f"found {regions.dtype} of shape {regions.shape}"
        )
    found = np.unique(regions)
    found = found[found >= 0]
    missing = sorted(set(range(int(found.max(initial=0)) + 1)) - set(found.tolist()))
    if missing or regions.min() < -1:
        raise InputError(
            "regions: expected numbers from 0 on with a pixel in each, and -1 for pixels outside; "
            f"found {np.unique(regions).tolist()}"
        )
    return regions
