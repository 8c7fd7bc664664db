"""MDMO: main directional mean optical flow.

Liu, Zhang, Yan, Wang, Zhao, Fu 2016, doi:10.1109/TAFFC.2015.2485205: 36 regions of the face, and for each of them a
length and an angle. The paper's affine alignment is a setting of the study here, the same for all methods.

Its flow is from the first frame to each later one; ours is between adjacent frames, so that pixels are followed
through it. Open in the paper, chosen here: without landmarks, the regions are a grid of 6 × 6.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import main_directions, trajectories
from pipeline.comparators.shared.regions import checked, grid
from pipeline.comparators.shared.settings import STRICT, Grid2, Share

READS = "flow"
TITLE = "MDMO"
REMARK_HEAD_KEPT = "without the paper's alignment of faces"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of MDMO."""

    grid: Grid2 = (6, 6)
    """Rows and columns of the regions, where none are given."""
    weight: Share = 0.9
    """λ, of the lengths; the angles have 1 - λ."""


def describe(flow: np.ndarray, settings: Settings, regions: np.ndarray | None = None) -> np.ndarray:
    """Length and angle of the mean motion of each region since the first frame.

    Parameters
    ----------
    flow : float32 (T, 2, H, W)
        u right, v down, pixels.
    settings
    regions : int (H, W)
        Number of the region of every pixel of the first frame, -1 outside of all; a grid if it is None.

    Returns
    -------
    float64 (2, regions): λ ρ / ρ_max, then (1 - λ) θ in radians; zeros where nothing moves.
    """
    shape = flow.shape[2:]
    regions = grid(shape, settings.grid) if regions is None else checked(regions, shape)
    by_frame = main_directions.mean_vectors(trajectories.displacement(flow), regions)  # (T, R, 2)
    return main_directions.weighted_polar(by_frame.mean(axis=0), settings.weight)  # Eq. 7 to 11
