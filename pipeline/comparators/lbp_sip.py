"""LBP-SIP: local binary patterns with six intersection points.

Wang, See, Phan, Oh 2014, doi:10.1007/978-3-319-16865-4_34, section 3. Of the twelve neighbours that LBP-TOP has with
P = 4 only six are distinct: the ends of the lines through the voxel along x, y and t. The blocks lie as in LBP-TOP.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import binary_patterns
from pipeline.comparators.shared.blocks import histograms
from pipeline.comparators.shared.grey import grey
from pipeline.comparators.shared.settings import STRICT, Count, Grid3

READS = "frames"
TITLE = "LBP-SIP"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of LBP-SIP."""

    blocks: Grid3 = (1, 8, 8)
    radii: tuple[Count, Count, Count] = (1, 1, 3)
    """Along x, y and t, in pixels and frames."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Histograms of the patterns in space (±x, ±y) and in time (±t), per block.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (blocks, 2⁴ + 2²); the 16 bins sum to 1, and so do the 4.
    """
    volume = grey(frames)
    x, y, t = settings.radii
    in_space = np.array([(0, 0, x), (0, -y, 0), (0, 0, -x), (0, y, 0)], float)
    in_time = np.array([(t, 0, 0), (-t, 0, 0)], float)
    parts = []
    for offsets in (in_space, in_time):
        codes = binary_patterns.codes(volume, offsets, margin=(t, y, x))
        parts.append(histograms(codes, settings.blocks, 2 ** len(offsets)))
    return np.concatenate(parts, axis=1)
