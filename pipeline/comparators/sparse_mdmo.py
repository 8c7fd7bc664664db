"""Sparse MDMO: MDMO frame by frame, in terms of a dictionary.

Liu, Li, Lai 2018, doi:10.1109/TAFFC.2018.2854166: averaged over frames, MDMO loses the manifold on which the vectors of
single frames lie. Here every frame is an atom, coded sparsely by a dictionary that is learnt inside the fold, and the
codes of a clip are pooled.

Open in the paper or chosen here: lengths are relative to the longest of the whole clip, so that the faint motion of
its first frames stays faint; 64 atoms; mean pooling. The paper's graph term is left out: it gave nothing in a trial.
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import main_directions, trajectories
from pipeline.comparators.shared.regions import checked, grid
from pipeline.comparators.shared.settings import STRICT, Count, Grid2, Share

READS = "flow"
TITLE = "Sparse MDMO"
REMARK = "sparse coding without the paper's graph term"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of Sparse MDMO."""

    grid: Grid2 = (6, 6)
    """Rows and columns of the regions, where none are given."""
    weight: Share = 0.9
    """λ, of the lengths; the angles have 1 - λ."""
    atoms: Count = 64
    """Of the dictionary."""
    sparsity: Annotated[float, Field(gt=0)] = 0.1
    """Weight of the l1 norm of the codes."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the order in which the dictionary sees the training frames."""


def describe(flow: np.ndarray, settings: Settings, regions: np.ndarray | None = None) -> np.ndarray:
    """Length and angle of the mean motion of each region since the first frame, for every later frame.

    Parameters
    ----------
    flow : float32 (T, 2, H, W)
        u right, v down, pixels.
    settings
    regions : int (H, W)
        Number of the region of every pixel of the first frame, -1 outside of all; a grid if it is None.

    Returns
    -------
    float64 (T, 2 · regions): λ ρ / ρ_max of all regions, then (1 - λ) θ of all, in radians.
    """
    shape = flow.shape[2:]
    regions = grid(shape, settings.grid) if regions is None else checked(regions, shape)
    by_frame = main_directions.mean_vectors(trajectories.displacement(flow), regions)  # (T, R, 2)
    return main_directions.weighted_polar(by_frame, settings.weight).reshape(len(flow), -1)


def classify(
    features: np.ndarray,
    labels: np.ndarray,
    subjects: np.ndarray,
    test: np.ndarray,
    settings: Settings,
    class_weight: str,
) -> np.ndarray:
    """The shared classifier on mean sparse codes of features (N, T, 2 · regions); as of `comparators.classify`."""
    from pipeline.comparators.learnt import classifier, sparse_codes

    dictionary = sparse_codes.learn(
        features.reshape(-1, features.shape[-1]), settings.atoms, settings.sparsity, settings.seed
    )
    train, held_out = (sparse_codes.pooled(clips, dictionary, settings.sparsity) for clips in (features, test))
    return classifier.classify(train, labels, subjects, held_out, class_weight)
