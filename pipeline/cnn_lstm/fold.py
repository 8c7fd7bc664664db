"""One fold of CNN+LSTM as files: trained without a subject, from five frames of every clip.

It shares with STANet what a row of Table 1 must share: the clips, the augmentation, the fixed number of epochs (for the
CNN, then as many for the LSTM), optimiser, batches, and the rule of the seeds. It computes in float32.

Where the apex is not known: a clip without one trains nothing, because its states are not known; when it is held out,
the middle of the clip stands in for its apex, so that every clip has a prediction. A study has no such row where a
whole database has no apex, as SMIC in a composite: its subjects would be judged by frames that were never annotated.
Nor has one in which fewer than two subjects have clips with an apex.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.cnn_lstm import network, objectives, states
from pipeline.cnn_lstm.network import CNNLSTM, ClipOutput, StatesCNN, StatesOutput, Weights, states_loss
from pipeline.cnn_lstm.states import state_frames
from pipeline.learning import augmentation, checkpoint, cuda_graph, initialisation, memory, seeds, training
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.objective import Objective, accuracy, cross_entropy
from pipeline.learning.predictions import predictions
from pipeline.learning.training import TrainingSettings
from pipeline.params import Params
from pipeline.storage import parts, resume, tables
from pipeline.storage.clip_rows import clip_rows
from pipeline.storage.parts import Part

FRAMES = "frames"
"""Which frames of a part are looked at: the one place that says so."""


class Pictures(NamedTuple):
    """The states of a study's clips, which all of its folds share."""

    states: Tensor
    """uint8 (N, 5, 1, S, S), grey; the states in the order of `STATES`."""
    clips: tuple[str, ...]
    """N names."""
    with_apex: frozenset[str]
    """Names of the clips whose apex is known."""
    without_apex: tuple[str, ...]
    """Databases none of whose clips has an apex."""
    frames: int
    """F, of an interpolated clip."""
    sha256: tuple[str, ...]
    """SHA-256 of each file that they come from."""


class Kept(NamedTuple):
    """Where the states of the two trainings of a fold are kept after every epoch."""

    cnn: resume.Parts
    lstm: resume.Parts


class Files(NamedTuple):
    """Content of the three files of a fold."""

    model: bytes
    predictions: bytes
    curve: bytes


NO_PICTURES = Pictures(torch.empty(0, dtype=torch.uint8), (), frozenset(), (), 0, ())
"""All that a fold needs which is not wanted."""


def read_pictures(members: Sequence[Part], clips: Sequence[str]) -> Pictures:
    """The states of a study's clips in memory.

    Parameters
    ----------
    members
        The parts of the study.
    clips
        Their names in the study.

    Raises
    ------
    InputError
        A file is missing or damaged, or has no such clip.
    """
    files = [file for part in members for file in (part.recordings, getattr(part, FRAMES))]
    for file in files:
        file.checked()
    rows = {
        part.prefix + row.clip: row for part in members for row in clip_rows(tables.read(Path(part.recordings.path)))
    }
    shown, frames = [], 0
    with parts.arrays(members, FRAMES) as frames_of:
        for clip in clips:
            array = frames_of(clip)  # (F, S, S, 3)
            frames, row = len(array), rows[clip]
            numbers = state_frames(row.onset, row.apex, row.offset, frames)
            shown.append(np.stack([cv2.cvtColor(array[number], cv2.COLOR_RGB2GRAY) for number in numbers])[:, None])
    with_apex = frozenset(clip for clip in clips if rows[clip].apex is not None)
    without_apex = tuple(
        part.database for part in members if not any(clip.startswith(part.prefix) for clip in with_apex)
    )
    return Pictures(
        torch.from_numpy(np.stack(shown)),
        tuple(clips),
        with_apex,
        without_apex,
        frames,
        tuple(file.sha256 for file in files),
    )


def why_no_row(split: pd.DataFrame, pictures: Pictures) -> str | None:
    """Why a study cannot have this row, in a few words; None where it can.

    `split` has the columns `clip,subject`, a row for every clip of the study.
    """
    if pictures.without_apex:
        return f"no clip of {', '.join(pictures.without_apex)} has an apex"
    if split.loc[split["clip"].isin(pictures.with_apex), "subject"].nunique() < 2:
        return "clips of less than two subjects have an apex, so that a fold has nothing to learn from"
    return None


def key(
    params: Params, subject: str, classes: list[str], split: pd.DataFrame, pictures: Pictures, device: torch.device
) -> str:
    """Key of everything that the training of a fold depends on, for what an interrupted one has finished."""
    facts = {
        "settings": asdict(training_settings(params)),
        "cnn_lstm": asdict(params.comparators.cnn_lstm),
        "threads": params.train.threads,
        "deterministic": params.train.deterministic,
        "seed": seeds.fold_seed(params.seed, params.dataset, subject),
        "classes": classes,
        "split": split.to_csv(index=False),
        "pictures": pictures.sha256,
        "versions": checkpoint.versions() | {"opencv": cv2.__version__},
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability(),
    }
    code = (
        augmentation,
        cuda_graph,
        initialisation,
        network,
        objectives,
        Objective,
        resume,
        run,
        seeds,
        states,
        training,
    )
    return resume.key(facts, [Path(inspect.getfile(part)) for part in code])


def run(
    params: Params,
    subject: str,
    classes: list[str],
    split: pd.DataFrame,
    pictures: Pictures,
    device: torch.device,
    kept: Kept | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Files:
    """Train the fold that holds `subject` out, and predict its clips.

    Parameters
    ----------
    params
        Parameters of the study.
    subject
        The subject held out.
    classes
        K names, in the order of the network's outputs.
    split
        Columns `clip,subject,label,role`; empty for a fold that is not wanted, which gives tables without rows, as does
        a study that has no such row.
    pictures
        Of all clips.
    device
        Where to compute. The arithmetic of this process becomes that of `training.fix_arithmetic`.
    kept
        Where the states of the trainings are kept after every epoch, under `key`.
    progress
        Wraps the iteration over the epochs that are left, of the CNN and then of the LSTM.
    """
    train, test = (
        split[split["role"] == role].drop(columns="role").reset_index(drop=True) for role in ("train", "test")
    )
    cnn_objective, lstm_objective = (
        cnn_objective_of(params),
        Objective[ClipOutput](cross_entropy, {"accuracy": accuracy}),
    )
    if split.empty or why_no_row(split, pictures):
        return Files(
            checkpoint.unwanted(classes),
            _csv(predictions(test[:0], np.empty((0, len(classes))), classes)),
            _csv(_curve(*(pd.DataFrame(columns=list(each.columns)) for each in (cnn_objective, lstm_objective)))),
        )
    memory.keep_freed_memory()
    training.fix_arithmetic(params.train.threads, deterministic=params.train.deterministic)
    own, settings = params.comparators.cnn_lstm, training_settings(params)
    seed = seeds.derived_seed(seeds.fold_seed(params.seed, params.dataset, subject), "cnn_lstm")
    number = {clip: row for row, clip in enumerate(pictures.clips)}
    train = train[train["clip"].isin(pictures.with_apex)]
    numbers = torch.tensor([number[clip] for clip in train["clip"]])
    labels = torch.tensor([classes.index(label) for label in train["label"]])
    cnn = StatesCNN(len(classes), size=settings.crop, pooling=own.pooling, features=own.features, seed=seed)
    cnn_curve = training.fit(
        cnn,
        cnn_objective,
        pictures.states,
        numbers,
        labels,
        settings=settings,
        seed=seeds.derived_seed(seed, "cnn"),
        device=device,
        parts=kept.cnn if kept else None,
        progress=progress,
    )
    fold = training.train_fold(
        CNNLSTM(cnn, len(classes), features=own.features, hidden=own.hidden, seed=seed),
        lstm_objective,
        pictures.states,
        numbers,
        labels,
        torch.tensor([number[clip] for clip in test["clip"]]),
        settings=settings,
        seed=seeds.derived_seed(seed, "lstm"),
        device=device,
        parts=kept.lstm if kept else None,
        progress=progress,
    )
    trained = Checkpoint(
        dataset=params.dataset,
        held_out=subject,
        classes=classes,
        params={"seed": params.seed, "cnn_lstm": asdict(own), "train": _train_settings(params)},
        frames=pictures.frames,
        size=pictures.states.shape[-1],
        versions=checkpoint.versions(),
        device=device.type,
        state_dict=fold.state,
    )
    return Files(
        trained.to_bytes(), _csv(predictions(test, fold.probabilities, classes)), _csv(_curve(cnn_curve, fold.curve))
    )


def cnn_objective_of(params: Params) -> Objective[StatesOutput]:
    """The five objectives of the CNN, and what the curve of a fold shows of each."""
    measures: dict[str, Callable[[StatesOutput, Tensor], Tensor]] = {
        "accuracy": accuracy,
        "class_error": lambda output, classes: objectives.class_error(output.class_logits, classes),
        "class_spread": lambda output, classes: objectives.class_spread(output.features, classes),
        "state_error": lambda output, classes: objectives.state_error(output.state_logits),
        "state_spread": lambda output, classes: objectives.state_spread(output.features, classes),
        "state_continuity": lambda output, classes: objectives.state_continuity(output.features),
    }
    weights = Weights(**asdict(params.comparators.cnn_lstm.weights))
    return Objective(loss=partial(states_loss, weights=weights), measures=measures)


def training_settings(params: Params) -> TrainingSettings:
    """What params.yaml says about the training of both, as for STANet; in float32, whatever STANet computes in."""
    augment = params.train.augmentation
    return TrainingSettings(
        epochs=params.train.epochs,
        lr=params.train.lr,
        weight_decay=params.train.weight_decay,
        batch_size=params.train.batch_size,
        views=augmentation.views(augment.scales, augment.horizontal_flip),
        every_view=augment.views == "all",
        crop=augment.crop,
        vectors=False,
    )


def _train_settings(params: Params) -> dict[str, Any]:
    """The section `train` without what is STANet's alone: no byte may depend on it."""
    return {name: value for name, value in asdict(params.train).items() if name not in ("precision", "compile")}


def _curve(cnn: pd.DataFrame, lstm: pd.DataFrame) -> pd.DataFrame:
    """One table of both trainings; a cell is empty where a training has no such measure."""
    named = [curve.assign(network=name) for name, curve in (("cnn", cnn), ("lstm", lstm))]
    columns = ["network", *cnn.columns]
    return pd.concat([table.reindex(columns=columns) for table in named], ignore_index=True)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()
