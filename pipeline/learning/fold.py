"""One fold of a study as files: a network trained without the fold's test subjects, and its predictions for them.

Bytes in, bytes out: the same on the machine that DVC runs on and on a worker far from it.
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.learning import (
    augmentation,
    checkpoint,
    cuda_graph,
    initialisation,
    memory,
    objective,
    seeds,
    selection,
    training,
)
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.inputs import Inputs
from pipeline.learning.network import Network
from pipeline.learning.predictions import predictions
from pipeline.learning.selection import Selection
from pipeline.learning.training import Epoch
from pipeline.storage import clip_store, resume


@dataclass(frozen=True)
class Fold:
    """What one training is about besides the network and its inputs."""

    dataset: str
    name: str
    classes: list[str]
    """K names, in the order of the network's outputs."""
    split: pd.DataFrame
    """Columns `clip,subject,label,role`, a row for every clip of the study; empty for a fold outside `held_out`."""
    seed: int
    """Seed of the study."""
    threads: int
    """CPU threads."""
    deterministic: bool
    """Only operators that give equal bytes in every run; a CPU has no others."""
    selection: Selection | None = None
    """Settings that are chosen by an inner k-fold; None: nothing is chosen."""

    def rows(self, role: str) -> pd.DataFrame:
        """Return the clips with a role, `train` or `test`: columns `clip,subject,label`."""
        return self.split[self.split["role"] == role].drop(columns="role").reset_index(drop=True)


class Files(NamedTuple):
    """Content of the files of a fold."""

    model: bytes
    predictions: bytes
    curve: bytes
    choices: bytes
    """What was chosen inside the fold; no rows where nothing is chosen."""


def key(network: Network, settings: Any, fold: Fold, inputs: Inputs, device: torch.device) -> str:
    """Return the key of everything that a training depends on, for what an interrupted one has finished."""
    facts = {
        "network": network.name,
        "settings": asdict(settings),
        "threads": fold.threads,
        "deterministic": fold.deterministic,
        "seed": seeds.fold_seed(fold.seed, fold.dataset, fold.name),
        "selection": fold.selection and fold.selection.facts(),
        "classes": fold.classes,
        "split": fold.split.to_csv(index=False),
        "inputs": inputs.sha256,
        "clips": inputs.clips,
        "versions": checkpoint.versions(),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability(),
    }
    code = (augmentation, cuda_graph, initialisation, objective, resume, run, seeds, selection, training)
    return resume.key(facts, [*(Path(inspect.getfile(part)) for part in code), *network.code()])


def epochs(network: Network, settings: Any, selection: Selection | None = None) -> int:
    """Return the largest number of epochs of a fold: of all phases, and of the trainings that choose settings."""
    if selection:
        return (selection.trainings + 1) * selection.largest
    return sum(phase.settings.epochs for phase in network.phases(2, settings, 0))


def why_no_row(network: Network, fold: Fold, inputs: Inputs) -> str | None:
    """Return why a study cannot have this network in Table 1, in a few words; None where it can.

    A network that needs the apex learns from the clips whose apex is known. When a clip without an apex is held out,
    the network assumes one, so that every clip has a prediction. A whole database without any apex would be judged by
    assumptions alone.
    """
    if not network.needs_apex:
        return None
    if inputs.without_apex:
        return f"no clip of {', '.join(inputs.without_apex)} has an apex"
    if fold.split.loc[fold.split["clip"].isin(inputs.with_apex), "subject"].nunique() < 2:
        return "clips of less than two subjects have an apex, so that a fold has nothing to learn from"
    return None


def run(
    network: Network,
    settings: Any,
    fold: Fold,
    inputs: Inputs,
    device: torch.device,
    pieces: resume.Pieces | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Files:
    """Train a fold and predict its test clips.

    Parameters
    ----------
    network, settings
        The network and its settings.
    fold
        The fold. With an empty split, and where the study cannot have this network (`why_no_row`), nothing is trained
        and the tables have no rows.
    inputs
        The input tensors of all clips.
    device
        Where to compute. The arithmetic of this process becomes that of `training.fix_arithmetic`.
    pieces
        Where the state of the training is kept after every epoch, under `key`.
    on_epoch
        Called after every epoch; an exception that it raises ends the training.

    Raises
    ------
    InputError
        A clip of the split has no input, or the training diverges.
    """
    train, test = fold.rows("train"), fold.rows("test")
    seed = network.seed(seeds.fold_seed(fold.seed, fold.dataset, fold.name))
    choices, done = pd.DataFrame(columns=list(selection.COLUMNS)), 0
    if fold.split.empty or why_no_row(network, fold, inputs):
        phases = network.phases(len(fold.classes), settings, seed)
        curves = {phase.name: pd.DataFrame(columns=list(phase.objective.columns)) for phase in phases}
        return Files(
            checkpoint.unwanted(fold.classes),
            _csv(predictions(test[:0], np.empty((0, len(fold.classes))), fold.classes)),
            _csv(training.joined(curves)),
            _csv(choices),
        )
    memory.keep_freed_memory()
    if network.needs_apex:
        train = train[train["clip"].isin(inputs.with_apex)]
    if fold.selection:
        settings, choices = selection.choose(
            network,
            fold.selection,
            train,
            fold.classes,
            inputs,
            seed=seed,
            device=device,
            threads=fold.threads,
            deterministic=fold.deterministic,
            pieces=pieces,
            on_epoch=on_epoch,
        )
        done = fold.selection.trainings * fold.selection.largest
    trained = training.train_fold(
        network.phases(len(fold.classes), settings, seed),
        inputs.arrays,
        torch.tensor(clip_store.rows_of(list(train["clip"]), inputs.clips)),
        torch.tensor([fold.classes.index(label) for label in train["label"]]),
        torch.tensor(clip_store.rows_of(list(test["clip"]), inputs.clips)),
        seed=seed,
        device=device,
        threads=fold.threads,
        deterministic=fold.deterministic,
        pieces=pieces,
        done=done,
        on_epoch=on_epoch,
    )
    subjects = sorted(set(test["subject"]))
    made = Checkpoint(
        dataset=fold.dataset,
        held_out=subjects[0] if len(subjects) == 1 else subjects,
        classes=fold.classes,
        params=network.record(settings, fold, inputs.source)
        | ({"selection": fold.selection.facts()} if fold.selection else {}),
        frames=inputs.frames,
        size=inputs.size,
        versions=checkpoint.versions(),
        device=device.type,
        state_dict=trained.state,
    )
    return Files(
        made.to_bytes(),
        _csv(predictions(test, trained.probabilities, fold.classes)),
        _csv(trained.curve),
        _csv(choices),
    )


def fit_predict(
    network: Network,
    settings: Any,
    arrays: Tensor,
    labels: Tensor,
    *,
    classes: int,
    seed: int,
    device: torch.device,
    threads: int,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> np.ndarray:
    """Train on the first clips, which have labels, and return the probabilities of the others.

    Parameters
    ----------
    network, settings
        The network and its settings.
    arrays
        (N + M, ...), input tensors of the training clips, then of those to predict.
    labels
        int64 (N,).
    classes
        K.
    seed
        Seed of the initial values and the training.
    device, threads, on_epoch
        As for `run`.

    Returns
    -------
    float64 (M, K).
    """
    numbers = torch.arange(len(arrays))
    trained = training.train_fold(
        network.phases(classes, settings, seed),
        arrays,
        numbers[: len(labels)],
        labels,
        numbers[len(labels) :],
        seed=seed,
        device=device,
        threads=threads,
        deterministic=True,
        on_epoch=on_epoch,
    )
    return trained.probabilities


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()
