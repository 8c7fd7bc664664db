"""The files that a page is made from, and the study that they hold."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.errors import InputError
from pipeline.evaluation import comparison, protocols
from pipeline.evaluation.metrics import METRICS
from pipeline.networks.stanet import introspection, trained
from pipeline.networks.stanet.introspection import Attention
from pipeline.networks.stanet.network import STANet
from pipeline.params import Params
from pipeline.report.provenance import Provenance, drawing_versions
from pipeline.report.study import Study
from pipeline.storage import class_names, tables
from pipeline.storage.digests import sha256
from pipeline.storage.parts import Part, arrays
from pipeline.synthetic import truth
from pipeline.synthetic.truth import Truth

_PER_SUBJECT = ("clips", "correct", "accuracy")
_PER_PART = ("clips", *METRICS)
_CURVE = ("epoch", "loss", "cross_entropy", "mask_l1", "accuracy")

Bar = Callable[[list[str]], Iterable[str]]
"""Wraps the clips while they are worked on, in a progress bar for example."""


@dataclass(frozen=True)
class Sources:
    """Where each part of a study lies."""

    clips: Path
    classes: Path
    parts: Sequence[Part]
    """Where the arrays of each database are."""
    networks: Mapping[str, Path]
    """The network of each fold, by its name."""
    curves: Mapping[str, Path]
    """The training curve of each fold, by its name."""
    choices: Mapping[str, Path]
    """What each fold has chosen by itself, by its name."""
    folds: Path
    """The test subjects of each fold."""
    predictions: Path
    metrics: Path
    per_subject: Path
    per_part: Path
    table1: Path
    others: Mapping[str, Path]
    """Predictions of the other methods in the paper's Figures 3 to 5, as far as they were run, by method."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file that the page is made from, by its path; of the arrays, as the manifests have it."""
        files = [self.clips, *self.networks.values(), self.predictions, self.metrics, self.table1]
        arrays = [file for part in self.parts for file in (part.frames, part.flow, part.truth) if file is not None]
        return {file.path: file.sha256 for file in arrays} | {path.as_posix(): sha256(path) for path in files}

    def annotation(self) -> dict[str, str]:
        """SHA-256 of each annotation file, by its name and, where there are several, its database."""
        return {part.prefix + name: digest for part in self.parts for name, digest in part.annotation.items()}

    def known_motion(self, clips: Sequence[str], params: Params) -> dict[str, Truth] | None:
        """Where and when the face moves, by clip; None where that is not known of every clip."""
        if len(self.parts) > 1 or self.parts[0].truth is None:
            return None
        head_kept = params.head_motion == "keep"
        frames, size = params.interpolation.frames, params.resize.size
        return truth.read(Path(self.parts[0].truth.path), clips, frames, size, head_kept=head_kept)


@contextmanager
def open_study(params: Params, sources: Sources, bar: Bar = iter, deviations: Sequence[str] = ()) -> Iterator[Study]:
    """Read a study from its files, each clip shown to the network of the fold that held its subject out.

    The frames and the flow of its clips can be read as long as the context lasts.

    Parameters
    ----------
    params
        The parameters that it was made with.
    sources
        Its files.
    bar
        Wraps the clips while they are shown to the networks.
    deviations
        How the clips of megc2019 differ from the official list, a sentence for each.

    Raises
    ------
    InputError
        An HDF5 file is missing or damaged, or lacks one of the clips.
    """
    clips, predictions = (
        tables.read(sources.clips, columns=("clip", "subject", "label")),
        tables.read(sources.predictions, columns=("clip", "subject", "label", "predicted")),
    )
    table1 = comparison.read(sources.table1)
    folds = {name: trained.load(path) for name, path in sources.networks.items()}
    tested = protocols.read(sources.folds, folds)
    known = sources.known_motion(list(predictions["clip"]), params)
    with (
        arrays(sources.parts, "frames") as frames,
        arrays(sources.parts, "flow") as flow,
        arrays(sources.parts, "head_motion") as head_motion,
    ):
        networks = {subject: folds[name].network for name, subjects in tested.items() for subject in subjects}
        yield Study(
            params=params,
            classes=class_names.read(sources.classes),
            clips=clips,
            predictions=predictions,
            metrics=_metrics(sources.metrics),
            per_subject=tables.read(sources.per_subject, numbers=_PER_SUBJECT),
            per_part=tables.read(sources.per_part, numbers=_PER_PART),
            deviations=deviations,
            curves={name: tables.read(path, numbers=_CURVE) for name, path in sources.curves.items()},
            choices=_choices(sources.choices),
            table1=table1,
            others={method: tables.read(path) for method, path in sources.others.items()},
            attention=look(predictions, networks, flow, params.train.augmentation.crop, bar),
            truth=known,
            frames=frames,
            flow=flow,
            head_motion=head_motion,
            provenance=Provenance(
                devices={name: fold.checkpoint.device for name, fold in folds.items()},
                trained_with={name: fold.checkpoint.versions for name, fold in folds.items()},
                drawn_with=drawing_versions(),
                estimator=dict(sorted(folds[params.trained_folds[0]].checkpoint.params["flow"].items())),
                annotation=sources.annotation(),
                hashes=sources.hashes(),
            ),
        )


def _choices(files: Mapping[str, Path]) -> pd.DataFrame:
    """The chosen row of every fold, with its name; no rows where nothing is chosen."""
    tables_of = {
        name: tables.read(path, numbers=("lambda", "epochs", "score"), columns=("chosen",))
        for name, path in files.items()
    }
    chosen = [table[table["chosen"] == "True"].assign(fold=name) for name, table in tables_of.items()]
    return pd.concat(chosen, ignore_index=True)


def _metrics(path: Path) -> dict[str, float]:
    try:
        found = {str(name): float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected the scores that `aggregate` writes, found something else ({error}). Delete the file and "
            "run `dvc repro`, which makes it again."
        ) from error
    return found


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
        The network to ask about the clips of each subject, which was trained without them.
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
