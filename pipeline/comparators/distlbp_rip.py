"""DiSTLBP-RIP: discriminative spatio-temporal local binary patterns with revisited integral projection.

Huang, Wang, Liu, Zhao, Feng, Pietikäinen 2019, doi:10.1109/TAFFC.2017.2713359. Robust principal component analysis
takes the face, which stays, from the clip; what remains is the subtle motion, whose integral projections are described
as in STLBP-IP. Inside a fold the Laplacian score chooses the bins that tell classes apart.

Open in the paper, chosen here: the solver (inexact augmented Lagrange multiplier), the sparse part without its sign
(as the difference in STLBP-IP), the graph of the score (clips of the same class), the share of the bins that is kept.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared import integral_projections, robust_pca
from pipeline.comparators.shared.grey import grey
from pipeline.comparators.shared.settings import STRICT, Grid2, Mask, Share

READS = "frames"
TITLE = "DiSTLBP-RIP"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of DiSTLBP-RIP."""

    blocks: Grid2 = (6, 6)
    mask: Mask = 9
    """W, elements of a projection that a one-dimensional pattern spans."""
    kept: Share = 0.1
    """Share of the bins that the Laplacian score keeps, learnt in the fold."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Patterns of the integral projections of the sparse part of a clip, per block.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (blocks, 2 · 2^(W - 1) + 2 · 59), see `integral_projections.patterns`.
    """
    volume = grey(frames)
    _, sparse = robust_pca.decompose(volume.reshape(len(volume), -1).T)  # pixels × frames
    motion = np.abs(sparse).T.reshape(volume.shape)  # (F, H, W)
    return integral_projections.patterns(motion, settings.blocks, settings.mask)


def classify(
    features: np.ndarray,
    labels: np.ndarray,
    subjects: np.ndarray,
    test: np.ndarray,
    settings: Settings,
    class_weight: str,
) -> np.ndarray:
    """The shared classifier on the bins with the best Laplacian scores; as of `comparators.classify`."""
    from pipeline.comparators.learnt import classifier, laplacian_score

    features, test = features.reshape(len(features), -1), test.reshape(len(test), -1)
    chosen = laplacian_score.select(features, labels, settings.kept)
    return classifier.classify(features[:, chosen], labels, subjects, test[:, chosen], class_weight)
