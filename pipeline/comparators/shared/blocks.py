"""A clip, a picture or a row cut into blocks, and histograms of codes in them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

import numpy as np

from pipeline.errors import InputError

AXES = {1: ("frames",), 2: ("rows", "columns"), 3: ("frames", "rows", "columns")}


def edges(shape: Sequence[int], grid: Sequence[int]) -> list[np.ndarray]:
    """Where the blocks begin and end along every axis; sizes differ by at most 1, in the same way from either end.

    Parameters
    ----------
    shape
        Length of each axis.
    grid
        Blocks along each.

    Returns
    -------
    int (blocks + 1,) per axis: block k reaches from edge k up to, not including, edge k + 1.

    Raises
    ------
    InputError
        There are more blocks along an axis than elements.
    """
    for length, parts, axis in zip(shape, grid, AXES[len(shape)], strict=True):
        if not 1 <= parts <= length:
            raise InputError(
                f"expected a grid of 1 to {length} blocks over the {length} {axis} that can be described, "
                f"found {parts}; choose a coarser grid, smaller radii or larger clips"
            )
    return [_symmetric(length, parts) for length, parts in zip(shape, grid, strict=True)]


def _symmetric(length: int, parts: int) -> np.ndarray:
    """Rounded multiples of length / parts, mirrored about the middle, where halves would all be rounded one way."""
    first_half = np.floor(np.arange(parts // 2 + 1) * length / parts + 0.5).astype(int)
    return np.concatenate([first_half, length - first_half[: (parts + 1) // 2][::-1]])


def blocks(shape: Sequence[int], grid: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The slices of every block in C order (the last axis fastest); errors as of `edges`."""
    return product(*([slice(*ends) for ends in pairwise(axis)] for axis in edges(shape, grid)))


def numbers(shape: Sequence[int], grid: Sequence[int]) -> np.ndarray:
    """The number of its block for every element, in C order: int (*shape); errors as of `edges`."""
    along = [np.repeat(np.arange(len(ends) - 1), np.diff(ends)) for ends in edges(shape, grid)]
    return np.asarray(np.ravel_multi_index(np.ix_(*along), tuple(grid)))


def histograms(codes: np.ndarray, grid: Sequence[int], bins: int, voting: np.ndarray | None = None) -> np.ndarray:
    """How often each code occurs in each block.

    Parameters
    ----------
    codes : int, of any shape
        From 0 to `bins` - 1.
    grid
        Blocks along every axis of `codes`.
    bins
        How many codes there are.
    voting : bool, as `codes`
        Which elements count; all if it is None.

    Returns
    -------
    float64 (blocks, bins), each row summing to 1, or zeros where no element of a block counts.

    Raises
    ------
    InputError
        There are more blocks along an axis than elements.
    """
    index = numbers(codes.shape, grid) * bins + codes
    chosen = index.ravel() if voting is None else index[voting]
    return normalised(np.bincount(chosen, minlength=int(np.prod(grid)) * bins).reshape(-1, bins))


def normalised(counts: np.ndarray) -> np.ndarray:
    """Rows that sum to 1; a row of zeros stays one."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.where(total > 0, total, 1))
