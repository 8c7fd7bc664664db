"""Grey levels of a clip."""

import numpy as np

EQUAL = 1e-6
"""Grey levels; what differs by less differs by rounding: bilinear weights, for one, sum to 1 - 1e-16."""


def grey(frames: np.ndarray) -> np.ndarray:
    """Luma of ITU-R BT.601, not rounded: rounded to whole levels, a brighter clip would have other patterns.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB

    Returns
    -------
    float64 (F, H, W), 0 to 255.
    """
    red, green, blue = np.moveaxis(frames, -1, 0)
    return np.asarray(0.299 * red + 0.587 * green + 0.114 * blue)
