"""LBP-TOP: local binary patterns on three orthogonal planes.

Zhao, Pietikäinen 2007, doi:10.1109/TPAMI.2007.1110, section 4. Blocks and radii are those of the CASME II baseline
(Yan et al. 2014, doi:10.1371/journal.pone.0086041). The paper leaves open where the blocks lie: here the voxels whose
neighbourhood lies inside the clip are cut evenly, and neighbourhoods reach into the next block.
"""

from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import binary_patterns
from pipeline.comparators.shared.blocks import histograms
from pipeline.comparators.shared.grey import grey
from pipeline.comparators.shared.settings import STRICT, Count, Grid3, Neighbours

READS = "frames"
TITLE = "LBP-TOP"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of LBP-TOP."""

    blocks: Grid3 = (1, 5, 5)
    radii: tuple[Count, Count, Count] = (1, 1, 4)
    """Along x, y and t, in pixels and frames."""
    neighbours: Neighbours = 4
    """P, on every plane."""
    patterns: Literal["full", "u2"] = "full"
    """All 2^P, or P (P - 1) + 3 bins, one of which the patterns that are not uniform share."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Histograms of the patterns on XY, XT and YT, per block.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (blocks, 3, bins), each histogram summing to 1.
    """
    volume = grey(frames)
    x, y, t = settings.radii
    bins = np.arange(2**settings.neighbours)
    if settings.patterns == "u2":
        bins = binary_patterns.uniform_bins(settings.neighbours)
    planes = []
    for offsets in _planes(settings.neighbours, x, y, t):
        codes = binary_patterns.codes(volume, offsets, margin=(t, y, x))  # Eq. 9
        planes.append(histograms(bins[codes], settings.blocks, int(bins.max()) + 1))  # Eq. 10, 11
    return np.stack(planes, axis=1)


def _planes(neighbours: int, x: int, y: int, t: int) -> list[np.ndarray]:
    """Offsets (t, y, x) of the neighbours on XY, XT and YT: on an ellipse where radii differ (Fig. 5)."""
    cosine, sine = binary_patterns.circle(neighbours).T
    zero = np.zeros(neighbours)
    return [
        np.stack([zero, -y * sine, x * cosine], axis=1),
        np.stack([t * sine, zero, x * cosine], axis=1),
        np.stack([t * sine, y * cosine, zero], axis=1),
    ]
