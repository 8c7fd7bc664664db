"""Eulerian magnification of small motion.

Wu, Rubinstein, Shih, Guttag, Durand, Freeman 2012, doi:10.1145/2185520.2185561: temporal changes of the levels of a
Laplacian pyramid, filtered and amplified. Filter and amplification are linear and the same for all levels here, so
that the levels are summed beforehand; the finest, where the noise is, and what remains below the coarsest are left
out, as in the authors' code.
"""

import cv2
import numpy as np

LEVELS = 4
FAST, SLOW = 0.4, 0.05
"""Share of the newest frame in the two running means whose difference is the temporal band; as in the authors' code.

Per frame, not per second: interpolation in time gives every clip the same number of frames.
"""


def magnify(grey: np.ndarray, factor: float) -> np.ndarray:
    """A clip with `factor` times its temporal changes added.

    Parameters
    ----------
    grey : float64 (F, H, W)
    factor
        α; 0 changes nothing.

    Returns
    -------
    float64 (F, H, W), not clipped to 0 … 255.
    """
    if factor == 0:
        return grey
    band = np.stack([_spatial_band(frame) for frame in grey])
    fast, slow = band[0], band[0]
    magnified = np.empty_like(grey)
    for number, (frame, change) in enumerate(zip(grey, band, strict=True)):
        fast = FAST * change + (1 - FAST) * fast
        slow = SLOW * change + (1 - SLOW) * slow
        magnified[number] = frame + factor * (fast - slow)
    return magnified


def _spatial_band(frame: np.ndarray) -> np.ndarray:
    """Levels 2 to `LEVELS` of the Laplacian pyramid, summed."""
    return np.asarray(_low_pass(frame, 1) - _low_pass(frame, LEVELS))


def _low_pass(frame: np.ndarray, levels: int) -> np.ndarray:
    """What remains of a picture below so many levels, in its size again."""
    sizes, reduced = [], frame
    for _ in range(levels):
        sizes.append(reduced.shape[::-1])
        reduced = cv2.pyrDown(reduced)
    for size in reversed(sizes):
        reduced = cv2.pyrUp(reduced, dstsize=size)
    return np.asarray(reduced)
