"""One fold of a study as files: a STANet trained without a subject, from the flow of all clips.

Bytes in, bytes out: the same on the machine that DVC runs on and on a worker far from it.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.learning import augmentation, checkpoint, cuda_graph, initialisation, memory, seeds, training
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.objective import Objective, accuracy, cross_entropy
from pipeline.learning.predictions import predictions
from pipeline.learning.training import TrainingSettings
from pipeline.params import Params
from pipeline.stanet import network
from pipeline.stanet.network import STANet, STANetOutput, mask_l1, stanet_loss
from pipeline.storage import clip_store, resume
from pipeline.storage.parts import File, Part


class Flow(NamedTuple):
    """The flow of a study, which all of its folds share."""

    fields: Tensor
    """float16 (N, T, 2, S, S), pixels per frame."""
    clips: tuple[str, ...]
    """N names."""
    estimator: dict[str, Any]
    """How it was estimated, and what was done about head motion."""
    sha256: tuple[str, ...]
    """SHA-256 of each file that it comes from."""


class Files(NamedTuple):
    """Content of the three files of a fold."""

    model: bytes
    predictions: bytes
    curve: bytes


NO_FLOW = Flow(torch.empty(0, dtype=torch.float16), (), {}, ())
"""All that a fold needs which is not wanted."""


def read_flow(parts: Sequence[Part], clips: Sequence[str], locate: Callable[[File], Path] = File.checked) -> Flow:
    """The flow of a study's clips in memory.

    Parameters
    ----------
    parts
        The parts of the study.
    clips
        Their names in the study.
    locate
        Where a file of the manifests is, with the right content.

    Raises
    ------
    InputError
        A file is missing or damaged, or has no such clip; or databases had their flow estimated in different ways.
    """
    if strangers := [clip for clip in clips if not any(clip.startswith(part.prefix) for part in parts)]:
        named = ", ".join(part.database for part in parts)
        raise InputError(f"expected clips of {named}, found {', '.join(strangers[:5])}. Run `dvc repro`.")
    fields = torch.empty(0, dtype=torch.float16)
    estimators: list[dict[str, Any]] = []
    for part in parts:
        rows = [row for row, clip in enumerate(clips) if clip.startswith(part.prefix)]
        with clip_store.reading(locate(part.flow)) as file:
            attributes = file["flow"].attrs
            places = clip_store.rows_of(
                [clips[row].removeprefix(part.prefix) for row in rows], clip_store.clip_names(file)
            )
            for row, place in zip(rows, places, strict=True):
                clip = clip_store.values(file, "flow", place)
                if not len(fields):
                    fields = torch.empty((len(clips), *clip.shape), dtype=torch.float16)
                fields.numpy()[row] = clip
            estimators.append({key: _plain(value) for key, value in attributes.items()})
    if any(estimator != estimators[0] for estimator in estimators):
        raise InputError(
            f"expected flow that was estimated in one way, found {' and '.join(map(str, estimators))}. Run `dvc repro`."
        )
    return Flow(fields, tuple(clips), estimators[0], tuple(part.flow.sha256 for part in parts))


def _plain(value: Any) -> Any:
    """An attribute of HDF5 as Python's own number or text."""
    return value.item() if hasattr(value, "item") else value


def key(params: Params, subject: str, classes: list[str], split: pd.DataFrame, flow: Flow, device: torch.device) -> str:
    """Key of everything that the training of a fold depends on, for what an interrupted one has finished."""
    facts = {
        "settings": asdict(training_settings(params)),
        "model": asdict(params.model),
        "lambda": params.lambda_,
        "threads": params.train.threads,
        "precision": params.train.precision,
        "deterministic": params.train.deterministic,
        "seed": seeds.fold_seed(params.seed, params.dataset, subject),
        "classes": classes,
        "split": split.to_csv(index=False),
        "flow": flow.sha256,
        "clips": flow.clips,
        "versions": checkpoint.versions(),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability(),
    }
    code = (augmentation, cuda_graph, initialisation, network, Objective, resume, run, seeds, training)
    return resume.key(facts, [Path(inspect.getfile(part)) for part in code])


def run(
    params: Params,
    subject: str,
    classes: list[str],
    split: pd.DataFrame,
    flow: Flow,
    device: torch.device,
    parts: resume.Parts | None = None,
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
        Columns `clip,subject,label,role`; empty for a fold that is not wanted, which gives tables without rows.
    flow
        Flow of all clips.
    device
        Where to compute. The arithmetic of this process becomes that of `training.fix_arithmetic`.
    parts
        Where the state of the training is kept after every epoch, under `key`.
    progress
        Wraps the iteration over the epochs that are left.

    Raises
    ------
    InputError
        A clip of the split has no flow.
    """
    train, test = (
        split[split["role"] == role].drop(columns="role").reset_index(drop=True) for role in ("train", "test")
    )
    objective = stanet_objective(params.lambda_)
    if split.empty:
        return Files(
            checkpoint.unwanted(classes),
            _csv(predictions(test, np.empty((0, len(classes))), classes)),
            _csv(pd.DataFrame(columns=list(objective.columns))),
        )
    memory.keep_freed_memory()
    training.fix_arithmetic(
        params.train.threads, tf32=params.train.precision == "tf32", deterministic=params.train.deterministic
    )
    seed = seeds.fold_seed(params.seed, params.dataset, subject)
    fold = training.train_fold(
        STANet(len(classes), **asdict(params.model), seed=seed),
        objective,
        flow.fields,
        torch.tensor(clip_store.rows_of(list(train["clip"]), flow.clips)),
        torch.tensor([classes.index(label) for label in train["label"]]),
        torch.tensor(clip_store.rows_of(list(test["clip"]), flow.clips)),
        settings=training_settings(params),
        seed=seed,
        device=device,
        parts=parts,
        progress=progress,
    )
    trained = Checkpoint(
        dataset=params.dataset,
        held_out=subject,
        classes=classes,
        params={
            "lambda": params.lambda_,
            "seed": params.seed,
            "model": asdict(params.model),
            "train": asdict(params.train),
            "flow": flow.estimator,
        },
        frames=flow.fields.shape[1] + 1,
        size=flow.fields.shape[-1],
        versions=checkpoint.versions(),
        device=device.type,
        state_dict=fold.state,
    )
    return Files(trained.to_bytes(), _csv(predictions(test, fold.probabilities, classes)), _csv(fold.curve))


def stanet_objective(lambda_: float) -> Objective[STANetOutput]:
    """The loss of section 3.3 (Eq. 7), and what the curve of a fold shows beside it."""
    return Objective(
        loss=partial(stanet_loss, lambda_=lambda_),
        measures={"cross_entropy": cross_entropy, "mask_l1": _mask_l1, "accuracy": accuracy},
    )


def training_settings(params: Params) -> TrainingSettings:
    """What params.yaml says about the training of every fold."""
    augment = params.train.augmentation
    return TrainingSettings(
        epochs=params.train.epochs,
        lr=params.train.lr,
        weight_decay=params.train.weight_decay,
        batch_size=params.train.batch_size,
        views=augmentation.views(augment.scales, augment.horizontal_flip),
        every_view=augment.views == "all",
        crop=augment.crop,
        bfloat16=params.train.precision == "bf16",
        compile=params.train.compile,
    )


def _mask_l1(output: STANetOutput, classes: Tensor) -> Tensor:
    """l1 norm of the masks, 0 without spatial attention."""
    return output.logits.new_zeros((), dtype=torch.float32) if output.mask is None else mask_l1(output.mask)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()
