"""Hierarchical STLBP-IP with kernelised group sparse learning.

Zong, Huang, Zheng, Cui, Zhao 2018, doi:10.1109/TMM.2018.2820321. STLBP-IP on ever finer grids (section III) spares
the choice of one; every block of every grid is a group, and group sparse learning chooses among them (section IV).

Open in the paper, chosen here: W = 7; kernels χ², centred and of unit mean diagonal; the penalty as a share of the
smallest one with which no group is left, chosen inside the fold.
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import integral_projections
from pipeline.comparators.shared.grey import grey
from pipeline.comparators.shared.settings import STRICT, Count, Mask

READS = "frames"
TITLE = "HSTLBP-IP"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of HSTLBP-IP."""

    grids: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8)
    """Rows and columns of each grid; 1 + 4 + 16 + 64 = 85 groups."""
    mask: Mask = 7
    """W, elements of a projection that a one-dimensional pattern spans."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Patterns of the integral projections of the difference to the first frame, per block of every grid.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (groups, 2 · 2^(W - 1) + 2 · 59), see `integral_projections.patterns`.
    """
    motion = integral_projections.differences(grey(frames))  # (F - 1, H, W)
    return np.concatenate(
        [integral_projections.patterns(motion, (cells, cells), settings.mask) for cells in settings.grids]
    )


def classify(
    features: np.ndarray,
    labels: np.ndarray,
    subjects: np.ndarray,
    test: np.ndarray,
    settings: Settings,
    class_weight: str,
) -> np.ndarray:
    """Kernelised group sparse learning on features (N, groups, bins); as of `comparators.classify`."""
    from pipeline.comparators.learnt import group_sparse_learning

    return group_sparse_learning.classify(features, labels, subjects, test, class_weight)
