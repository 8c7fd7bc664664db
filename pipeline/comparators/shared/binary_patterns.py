"""Local binary patterns along any axes: which neighbours of an element are at least as large as it.

Ojala, Pietikäinen, Mäenpää 2002, doi:10.1109/TPAMI.2002.1017623.
"""

import math
from collections.abc import Sequence
from functools import reduce
from itertools import product

import numpy as np

from pipeline.comparators.shared.grey import EQUAL
from pipeline.errors import InputError


def circle(points: int) -> np.ndarray:
    """Cosine and sine of 2πp / P: float64 (P, 2), exact where they are 0 or ±1."""
    angles = 2 * np.pi * np.arange(points) / points
    return np.round(np.stack([np.cos(angles), np.sin(angles)], axis=1), 12)


def codes(values: np.ndarray, offsets: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    """Σ_p s(g_p - g_c) 2^p with s(x) = 1 where x ≥ 0, for all elements that are `margin` away from the ends.

    Parameters
    ----------
    values : float64, any number of axes
    offsets : float64 (P, axes)
        From the centre g_c to its neighbours g_p, in elements; between elements, values are interpolated linearly.
    margin
        Elements at either end of each axis that are no centre; at least as large as the offsets.

    Returns
    -------
    int64, shorter than `values` by twice the margin: codes from 0 to 2^P - 1.

    Raises
    ------
    InputError
        The margins leave no element.
    """
    if any(length <= 2 * ends for length, ends in zip(values.shape, margin, strict=True)):
        raise InputError(
            f"expected neighbourhoods that fit into what is described; found {_times(values.shape)} elements and "
            f"neighbours up to {_times(margin)} away on either side, which leaves none inside; "
            "choose smaller radii, a narrower mask, a coarser grid or larger clips"
        )
    centre = _shifted(values, [0] * values.ndim, margin)
    code = np.zeros(centre.shape, int)
    for bit, offset in enumerate(offsets.tolist()):
        code |= (_interpolated(values, offset, margin) - centre >= -EQUAL).astype(int) << bit
    return code


def uniform_bins(points: int) -> np.ndarray:
    """Bins of the `u2` mapping: int (2^P,), from a code to 0 … P (P - 1) + 2.

    Codes whose circle of bits changes at most twice have a bin each, in ascending order; all others share the last.
    """
    every = np.arange(2**points)
    rotated = (every >> 1) | ((every & 1) << (points - 1))
    changes = np.bitwise_count(every ^ rotated)
    is_uniform = changes <= 2
    return np.where(is_uniform, np.cumsum(is_uniform) - 1, is_uniform.sum())


def _interpolated(values: np.ndarray, offset: Sequence[float], margin: Sequence[int]) -> np.ndarray:
    """Values at an offset from every centre."""
    terms = [
        _shifted(values, shift, margin) if weight == 1 else weight * _shifted(values, shift, margin)
        for shift, weight in _corners(offset)
    ]
    return reduce(np.add, terms)


def _corners(offset: Sequence[float]) -> list[tuple[tuple[int, ...], float]]:
    """The elements around an offset and their weights; along an axis without a fraction there is but one."""
    ends = []
    for component in offset:
        whole = math.floor(component)
        fraction = component - whole
        ends.append([(whole, 1 - fraction), (whole + 1, fraction)] if fraction else [(whole, 1.0)])
    return [(tuple(step for step, _ in corner), math.prod(weight for _, weight in corner)) for corner in product(*ends)]


def _shifted(values: np.ndarray, shift: Sequence[int], margin: Sequence[int]) -> np.ndarray:
    """The elements that lie `shift` away from the centres."""
    return values[
        tuple(
            slice(ends + step, length - ends + step)
            for length, ends, step in zip(values.shape, margin, shift, strict=True)
        )
    ]


def _times(numbers: Sequence[int]) -> str:
    return " × ".join(map(str, numbers))
