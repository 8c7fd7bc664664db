"""STANet among the networks: its training (sections 3.3 and 4.1) and what its checkpoint says."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline.learning.fold import Fold
from pipeline.learning.objective import Objective, accuracy, cross_entropy
from pipeline.learning.training import TrainingSettings, augmented
from pipeline.networks.stanet import Settings
from pipeline.networks.stanet.network import STANet, STANetOutput, mask_l1, stanet_loss


def build(classes: int, settings: Settings, seed: int) -> STANet:
    """Return the network for K classes with its initial values."""
    return STANet(classes, **_model(settings), seed=seed)


def training(settings: Settings) -> TrainingSettings:
    """Return the settings of the training of section 4.1."""
    return augmented(settings, vectors=True, precision=settings.precision, compile=settings.compile)


def objective(settings: Settings) -> Objective[STANetOutput]:
    """Return the loss of section 3.3 (Eq. 7), and what the curve of a fold shows beside it."""
    return Objective(
        loss=partial(stanet_loss, lambda_=settings.lambda_),
        measures={"cross_entropy": cross_entropy, "mask_l1": _mask_l1, "accuracy": accuracy},
    )


def seed(fold_seed: int) -> int:
    """Return the seed of the training: the fold's own."""
    return fold_seed


def record(settings: Settings, fold: Fold, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the checkpoint says of the training, with the keys of params.yaml, and how the flow was made."""
    return {
        "lambda": settings.lambda_,
        "seed": fold.seed,
        "model": _model(settings),
        "train": {
            "epochs": settings.epochs,
            "lr": settings.lr,
            "weight_decay": settings.weight_decay,
            "batch_size": settings.batch_size,
            "threads": fold.threads,
            "precision": settings.precision,
            "deterministic": fold.deterministic,
            "compile": settings.compile,
            "augmentation": {
                "crop": settings.crop,
                "scales": settings.scales,
                "horizontal_flip": settings.horizontal_flip,
                "views": settings.views,
            },
        },
        "flow": source,
    }


def _model(settings: Settings) -> dict[str, Any]:
    """The section `model` of params.yaml."""
    names = ("spatial_attention", "temporal_attention", "pooling", "regions", "readout")
    return {name: getattr(settings, name) for name in names}


def _mask_l1(output: STANetOutput, classes: Tensor) -> Tensor:
    """l1 norm of the masks, 0 without spatial attention."""
    return output.logits.new_zeros((), dtype=torch.float32) if output.mask is None else mask_l1(output.mask)
