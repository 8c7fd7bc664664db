"""The files that a page is made from, and the study that they hold."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import torch

from pipeline.params import Params
from pipeline.report.provenance import Provenance, drawing_versions, hashes
from pipeline.report.study import Study
from pipeline.stanet import introspection
from pipeline.stanet.introspection import Attention
from pipeline.stanet.network import STANet
from pipeline.storage import clip_store, tables
from pipeline.synthetic import truth

Bar = Callable[[list[str]], Iterable[str]]
"""Wraps the clips while they are worked on, in a progress bar for example."""


@dataclass(frozen=True)
class Sources:
    """Where each part of a study lies."""

    clips: Path
    classes: Path
    annotation: Path
    """SHA-256 of each annotation file."""
    resized: Path
    flow: Path
    networks: Mapping[str, Path]
    """The network of each fold, by the subject held out."""
    curves: Mapping[str, Path]
    """The training curve of each fold, by the subject held out."""
    predictions: Path
    metrics: Path
    per_subject: Path
    truth: Path | None
    """The known motion; None where it is not known, or not that of the frames that the networks are shown."""

    def hashed(self) -> list[Path]:
        """The files whose hashes stand on the page, in its order."""
        files = [self.clips, self.resized, self.flow, *self.networks.values(), self.predictions, self.metrics]
        return files if self.truth is None else [*files, self.truth]


class Arrays(NamedTuple):
    """The arrays of a dataset, read from their files clip by clip."""

    frames: Callable[[str], np.ndarray]
    """uint8 (F, S, S, 3) RGB of a clip."""
    flow: Callable[[str], np.ndarray]
    """(T, 2, S, S) of a clip, pixels per frame."""
    estimator: Mapping[str, Any]
    """How the flow was estimated."""


@contextmanager
def open_arrays(resized: Path, flow: Path, clips: Sequence[str]) -> Iterator[Arrays]:
    """Frames and flow of the clips by their names; they can be read as long as the context lasts.

    Raises
    ------
    InputError
        A file is missing or damaged, or lacks one of the clips.
    """
    with clip_store.reading(resized) as frames, clip_store.reading(flow) as fields:
        estimator = dict(sorted(fields["flow"].attrs.items()))
        yield Arrays(_by_clip(frames, "frames", clips), _by_clip(fields, "flow", clips), estimator)


def _by_clip(file: h5py.File, name: str, clips: Sequence[str]) -> Callable[[str], np.ndarray]:
    """A function that reads the row of a clip from the array `name`."""
    rows = dict(zip(clips, clip_store.rows_of(clips, clip_store.clip_names(file)), strict=True))
    array = file[name]
    return lambda clip: np.asarray(array[rows[clip]])


@contextmanager
def open_study(
    params: Params, sources: Sources, published: Sequence[tuple[str, float]], bar: Bar = iter
) -> Iterator[Study]:
    """Read a study from its files, each clip shown to the network of the fold that held its subject out.

    The frames and the flow of its clips can be read as long as the context lasts.

    Parameters
    ----------
    params
        The parameters that it was made with.
    sources
        Its files.
    published
        The dataset's column of the paper's Table 1: method and accuracy in per cent.
    bar
        Wraps the clips while they are shown to the networks.

    Raises
    ------
    InputError
        An HDF5 file is missing or damaged, or lacks one of the clips.
    """
    clips, predictions = tables.read(sources.clips), tables.read(sources.predictions)
    folds = {subject: introspection.load(path) for subject, path in sources.networks.items()}
    known = None
    if sources.truth is not None:
        frames, size = params.interpolation.frames, params.resize.size
        known = truth.read(sources.truth, list(predictions["clip"]), frames, size)
    with open_arrays(sources.resized, sources.flow, list(clips["clip"])) as arrays:
        networks = {subject: network for subject, (network, _) in folds.items()}
        yield Study(
            params=params,
            classes=json.loads(sources.classes.read_text()),
            clips=clips,
            predictions=predictions,
            metrics=json.loads(sources.metrics.read_text()),
            per_subject=tables.read(sources.per_subject),
            curves={subject: tables.read(path) for subject, path in sources.curves.items()},
            published=published,
            attention=look(predictions, networks, arrays.flow, params.train.augmentation.crop, bar),
            truth=known,
            frames=arrays.frames,
            flow=arrays.flow,
            provenance=Provenance(
                devices={subject: description["device"] for subject, (_, description) in folds.items()},
                trained_with={subject: description["versions"] for subject, (_, description) in folds.items()},
                drawn_with=drawing_versions(),
                estimator=arrays.estimator,
                annotation=json.loads(sources.annotation.read_text()),
                hashes=hashes(sources.hashed()),
            ),
        )


def look(
    predictions: pd.DataFrame,
    networks: Mapping[str, STANet],
    flow: Callable[[str], np.ndarray],
    crop: int,
    bar: Bar = iter,
) -> dict[str, Attention]:
    """Show each clip to the network that was trained without its subject.

    Parameters
    ----------
    predictions
        Table with the columns `clip,subject`.
    networks
        The network of each fold, by the subject held out.
    flow
        Function that gives the flow of a clip, (T, 2, S, S) in pixels per frame.
    crop
        Side of the networks' input, pixels.
    bar
        Wraps the clips while they are shown.
    """
    subject_of = dict(zip(predictions["clip"], predictions["subject"], strict=True))
    return {
        clip: introspection.attention(networks[subject_of[clip]], torch.tensor(flow(clip)), crop)
        for clip in bar(list(subject_of))
    }
