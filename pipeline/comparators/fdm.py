"""FDM: facial dynamics map.

Xu, Zhang, Wang 2017, doi:10.1109/TAFFC.2016.2518162, section 3.3: the flow is cut into cuboids, and each is
represented by its principal direction, found by iteration. The paper's alignment of the faces beforehand is a setting
of the study here, the same for all methods.

Open in the paper, chosen here: the grid; vectors of length zero have no direction and are left out; where no vector
lies within 45° of the mean of all, as when opposite ones cancel, the cuboid has no direction: (0, 0).
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared.blocks import blocks
from pipeline.comparators.shared.settings import STRICT, Grid3

READS = "flow"
TITLE = "FDM"
REMARK_HEAD_KEPT = "without the paper's alignment of faces"

HALF_ANGLE = np.pi / 4
ITERATIONS = 500


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of FDM."""

    blocks: Grid3 = (4, 8, 8)


def describe(flow: np.ndarray, settings: Settings) -> np.ndarray:
    """The principal vector of each cuboid.

    Parameters
    ----------
    flow : float32 (T, 2, H, W)
        u right, v down, pixels.
    settings

    Returns
    -------
    float64 (cuboids, 2): u, v in pixels per frame; zero for a cuboid without a direction.
    """
    fields = flow.swapaxes(0, 1).astype(float)  # (2, T, H, W)
    return np.stack(
        [_principal(fields[:, *cuboid].reshape(2, -1)) for cuboid in blocks(fields.shape[1:], settings.blocks)]
    )


def _principal(vectors: np.ndarray) -> np.ndarray:
    """Mean of the vectors within 45° of the direction that this mean has: (2,) of n vectors (2, n) (Algorithm 1)."""
    u, v = vectors[:, np.abs(vectors).any(axis=0)]
    length = np.hypot(u, v)
    chosen, mean = np.zeros(len(u), bool), np.array([u.sum(), v.sum()])
    for _ in range(ITERATIONS):
        near = mean[0] * u + mean[1] * v >= np.cos(HALF_ANGLE) * np.hypot(*mean) * length
        if not near.any():
            return np.zeros(2)
        mean = np.array([u[near].mean(), v[near].mean()])
        if (near == chosen).all():
            break
        chosen = near
    return mean
