"""STLBP-IP: spatio-temporal local binary patterns of integral projections.

Huang, Wang, Zhao, Pietikäinen 2015, doi:10.1109/ICCVW.2015.10, section 3. The paper leaves open whether the
difference to the first frame has a sign; here it has none.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import integral_projections
from pipeline.comparators.shared.grey import grey
from pipeline.comparators.shared.settings import STRICT, Grid2, Mask

READS = "frames"
TITLE = "STLBP-IP"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of STLBP-IP."""

    blocks: Grid2 = (6, 6)
    mask: Mask = 9
    """W, elements of a projection that a one-dimensional pattern spans."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Patterns of the integral projections of the difference to the first frame, per block.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (blocks, 2 · 2^(W - 1) + 2 · 59), see `integral_projections.patterns`.
    """
    motion = integral_projections.differences(grey(frames))  # (F - 1, H, W)
    return integral_projections.patterns(motion, settings.blocks, settings.mask)
