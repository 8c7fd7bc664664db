"""Choose settings inside a fold by an inner k-fold over its training subjects (nested cross-validation).

The test subjects of the fold take no part: neither their clips nor their labels get here. Each candidate is trained on
the inner training subjects once, to the largest number of epochs, and its predictions for the inner test subjects are
scored after every candidate number of epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from pipeline.errors import InputError
from pipeline.evaluation import subject_folds
from pipeline.learning import seeds, training
from pipeline.learning.inputs import Inputs
from pipeline.learning.network import Network
from pipeline.learning.training import Epoch
from pipeline.storage import clip_store
from pipeline.storage.resume import Pieces

COLUMNS = ("lambda", "epochs", "score", "chosen")


@dataclass(frozen=True)
class Selection:
    """What is chosen among, and by what."""

    candidates: tuple[tuple[float, Any], ...]
    """λ and the settings of the network with it, in the order of preference."""
    epochs: tuple[int, ...]
    folds: int
    """Inner folds of the training subjects."""
    score: str
    """`uf1` or `accuracy`, of the pooled predictions of all inner folds."""

    @property
    def largest(self) -> int:
        """Number of epochs of every inner training."""
        return max(self.epochs)

    @property
    def trainings(self) -> int:
        """Number of inner trainings of a fold."""
        return len(self.candidates) * self.folds

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint says of it."""
        return {
            "epochs": list(self.epochs),
            "lambda": [value for value, _ in self.candidates],
            "folds": self.folds,
            "score": self.score,
        }


class Choice(NamedTuple):
    """What an inner k-fold has chosen."""

    settings: Any
    table: pd.DataFrame
    """`COLUMNS`, a row per candidate: its inner score, and whether it was chosen."""


def choose(
    network: Network,
    selection: Selection,
    train: pd.DataFrame,
    classes: list[str],
    inputs: Inputs,
    *,
    seed: int,
    device: torch.device,
    threads: int,
    deterministic: bool,
    pieces: Pieces | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Choice:
    """Choose λ and the number of epochs for a fold.

    Of equal scores, the one with fewer epochs counts, then the earlier λ.

    Parameters
    ----------
    network, selection
        The network, and what is chosen among.
    train
        Training clips of the fold: columns `clip,subject,label`.
    classes
        K names.
    inputs
        The input tensors of all clips of the study.
    seed
        Seed of the fold; each inner fold has one of its own, the same for all candidates.
    device, threads, deterministic
        As for `training.train_fold`.
    pieces
        Where the predictions of finished inner trainings are kept; an interrupted one begins again.
    on_epoch
        Called after every epoch.

    Raises
    ------
    InputError
        There are fewer training subjects than inner folds.
    """
    rows = torch.tensor(clip_store.rows_of(list(train["clip"]), inputs.clips))
    labels = torch.tensor([classes.index(label) for label in train["label"]])
    scores = []
    for number, (value, candidate) in enumerate(selection.candidates):
        settings = replace(candidate, epochs=selection.largest)
        probabilities = np.zeros((len(selection.epochs), len(train), len(classes)))
        for inner, tested in enumerate(_folds(train, selection.folds)):
            done = (number * selection.folds + inner) * selection.largest
            if pieces and done + selection.largest in pieces.finished:
                probabilities[:, tested] = pieces.load(done + selection.largest)
                continue
            looks: list[np.ndarray] = []

            def look(epoch: Epoch, done: int = done, looks: list[np.ndarray] = looks) -> None:
                if epoch.number - done in selection.epochs:
                    looks.append(epoch.predict())
                if on_epoch:
                    on_epoch(epoch)

            inner_seed = seeds.derived_seed(seed, "inner", str(inner))
            training.train_fold(
                network.phases(len(classes), settings, inner_seed),
                inputs.arrays,
                rows[~tested],
                labels[~tested],
                rows[tested],
                seed=inner_seed,
                device=device,
                threads=threads,
                deterministic=deterministic,
                done=done,
                on_epoch=look,
            )
            if pieces:
                pieces.save(done + selection.largest, np.stack(looks))
            probabilities[:, tested] = np.stack(looks)
        predicted = probabilities.argmax(axis=2)
        scores += [
            (_score(selection.score, labels.numpy(), row), -epochs, -number, value)
            for epochs, row in zip(selection.epochs, predicted, strict=True)
        ]
    best = max(scores)
    table = pd.DataFrame(
        [(value, -epochs, score, (score, epochs, number, value) == best) for score, epochs, number, value in scores],
        columns=list(COLUMNS),
    )
    _, epochs, number, _ = best
    return Choice(replace(selection.candidates[-number][1], epochs=-epochs), table)


def _folds(train: pd.DataFrame, count: int) -> list[np.ndarray]:
    """The test clips of each inner fold, masks over the training clips."""
    try:
        return subject_folds.spread(train, count)
    except InputError as error:
        raise InputError(f"params.yaml: selection.folds: of the training subjects of a fold, {error}") from error


def _score(name: str, labels: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import accuracy_score, f1_score

    if name == "accuracy":
        return float(accuracy_score(labels, predicted))
    return float(f1_score(labels, predicted, average="macro", labels=np.unique(labels), zero_division=0))
