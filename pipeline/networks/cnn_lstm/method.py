"""CNN+LSTM among the networks: the frames that it reads, its two trainings, and what its checkpoint says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from pipeline.learning.fold import Fold
from pipeline.learning.objective import Logits, Objective, accuracy, cross_entropy
from pipeline.learning.training import Phase, augmented
from pipeline.networks.cnn_lstm import Settings, objectives
from pipeline.networks.cnn_lstm.network import CNNLSTM, StatesCNN, StatesOutput, states_loss
from pipeline.networks.cnn_lstm.states import STATES, state_frames
from pipeline.storage.clip_rows import ClipRow


def select(clip: np.ndarray, row: ClipRow) -> np.ndarray:
    """Return the frames of the five states: uint8 (F, H, W, 3) -> (5, H, W, 3).

    The middle of the clip stands in for an unknown apex.
    """
    return clip[list(state_frames(row.onset, row.apex, row.offset, len(clip)))]


def prepare(clip: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the five states in grey: uint8 (5, H, W, 3) RGB -> (5, 1, H, W)."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip])[:, None]


def build(classes: int, settings: Settings, seed: int) -> CNNLSTM:
    """Return CNN and LSTM for K classes with their initial values."""
    return _lstm(_cnn(classes, settings, seed), classes, settings, seed)


def phases(classes: int, settings: Settings, seed: int) -> Iterator[Phase[Any]]:
    """Yield the training of the CNN, then that of the LSTM on the features of the trained CNN."""
    training = augmented(settings, vectors=False)
    cnn = _cnn(classes, settings, seed)
    yield Phase("cnn", cnn, cnn_objective(settings), training)
    lstm = _lstm(cnn, classes, settings, seed)
    yield Phase("lstm", lstm, Objective[Logits](cross_entropy, {"accuracy": accuracy}), training)


def cnn_objective(settings: Settings) -> Objective[StatesOutput]:
    """Return the five objectives of the CNN, and what the curve of a fold shows of each."""
    measures: dict[str, Callable[[StatesOutput, Tensor], Tensor]] = {
        "accuracy": accuracy,
        "class_error": lambda output, classes: objectives.class_error(output.class_logits, classes),
        "class_spread": lambda output, classes: objectives.class_spread(output.features, classes),
        "state_error": lambda output, classes: objectives.state_error(output.state_logits),
        "state_spread": lambda output, classes: objectives.state_spread(output.features, classes),
        "state_continuity": lambda output, classes: objectives.state_continuity(output.features),
    }
    return Objective(loss=partial(states_loss, weights=settings.weights), measures=measures)


def record(settings: Settings, fold: Fold, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the checkpoint says of the training."""
    augmentation = ("crop", "scales", "horizontal_flip", "views")
    training = {
        "epochs": settings.epochs,
        "lr": settings.lr,
        "weight_decay": settings.weight_decay,
        "batch_size": settings.batch_size,
        "threads": fold.threads,
        "deterministic": fold.deterministic,
        "augmentation": {name: getattr(settings, name) for name in augmentation},
    }
    own = {name: value for name, value in asdict(settings).items() if name not in (*training, *augmentation)}
    return {"seed": fold.seed, "cnn_lstm": own, "train": training}


def values(settings: Settings) -> int:
    """Return the number of values by which the CNN describes a clip."""
    return len(STATES) * settings.features


def _cnn(classes: int, settings: Settings, seed: int) -> StatesCNN:
    return StatesCNN(classes, size=settings.crop, pooling=settings.pooling, features=settings.features, seed=seed)


def _lstm(cnn: StatesCNN, classes: int, settings: Settings, seed: int) -> CNNLSTM:
    return CNNLSTM(cnn, classes, features=settings.features, hidden=settings.hidden, seed=seed)
