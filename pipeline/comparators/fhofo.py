"""FHOFO: fuzzy histogram of optical flow orientations.

Happy, Routray 2019, doi:10.1109/TAFFC.2017.2723386, section 3: a histogram of angles alone, because the length of a
micro-expression's motion says little, spread by a fuzzy membership, because its angle is uncertain.

Open in the paper, chosen here: regions are a grid of 6 × 6 unless they are given; four steps in time (over a whole clip
the motion after the onset and that before the offset cancel); σ = 10 fine bins; the coarse bins' centres are evenly
spaced around the circle (in the authors' code the first and the last are neighbours at the same angle).
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared.blocks import normalised, numbers
from pipeline.comparators.shared.regions import checked, grid
from pipeline.comparators.shared.settings import STRICT, Count, Grid2

READS = "flow"
TITLE = "FHOFO"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of FHOFO."""

    grid: Grid2 = (6, 6)
    """Rows and columns of the regions, where none are given."""
    steps: Count = 4
    """Parts in time."""
    fine_bins: Count = 50
    """n1, of the histogram of angles."""
    coarse_bins: Count = 18
    """n2, of the feature."""
    spread: Annotated[float, Field(gt=0)] = 10.0
    """σ of the membership, in fine bins."""


def describe(flow: np.ndarray, settings: Settings, regions: np.ndarray | None = None) -> np.ndarray:
    """Fuzzy histograms of the angles in each region, step by step.

    Parameters
    ----------
    flow : float32 (T, 2, H, W)
        u right, v down, pixels.
    settings
    regions : int (H, W)
        Number of the region of every pixel, -1 outside of all; a grid if it is None.

    Returns
    -------
    float64 (steps, regions, n2), each histogram summing to 1, or zeros where nothing moves. Angles from right (bin 0)
    towards down.
    """
    shape = flow.shape[2:]
    regions = grid(shape, settings.grid) if regions is None else checked(regions, shape)
    steps = numbers(flow.shape[:1], (settings.steps,))  # (T,)
    count = int(regions.max()) + 1
    u, v = flow[:, 0], flow[:, 1]
    voting = ((u != 0) | (v != 0)) & (regions >= 0)
    frame, row, column = np.nonzero(voting)
    turns = np.arctan2(v[voting].astype(float), u[voting].astype(float)) / (2 * np.pi)
    # The fine bin i is centred on i / n1 of a turn, as the coarse bin k on k / n2.
    fine = np.floor(turns * settings.fine_bins + 0.5).astype(int) % settings.fine_bins
    index = (steps[frame] * count + regions[row, column]) * settings.fine_bins + fine
    votes = np.bincount(index, minlength=settings.steps * count * settings.fine_bins)
    histograms = votes.reshape(settings.steps, count, settings.fine_bins)
    return normalised(np.einsum("srf,fc->src", histograms, _membership(settings)))


def _membership(settings: Settings) -> np.ndarray:
    """How far an angle of each fine bin belongs to each coarse one: circular Gaussian (n1, n2)."""
    centres = settings.fine_bins * np.arange(settings.coarse_bins) / settings.coarse_bins
    distance = np.abs(np.arange(settings.fine_bins)[:, None] - centres)
    distance = np.minimum(distance, settings.fine_bins - distance)
    return np.asarray(np.exp(-(distance**2) / (2 * settings.spread**2)))
