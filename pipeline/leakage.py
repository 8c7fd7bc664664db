"""The command `leakage`: what choosing the epoch on the test subjects would have claimed.

The folds of a network are trained once more exactly as `train` does, and after every epoch the network is shown its
test clips, whose labels nothing in the training sees. Nothing of it is a result of the study: it is written to a page
and a table of its own, which no stage knows.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import networks, paths, trainings
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.significance import Interval, bootstrap_intervals
from pipeline.learning import fold, inputs
from pipeline.learning.training import Epoch
from pipeline.params import load_params
from pipeline.storage import class_names, resume, tables
from pipeline.storage.outputs import staged
from pipeline.trainings import Training

Report = Callable[[str, int, int], object]
"""Told the fold, the number of the epoch that was finished, and the number of epochs."""


@dataclass(frozen=True)
class Claim:
    """Pooled scores under one way to choose the epoch."""

    choice: str
    scores: dict[str, float]
    intervals: dict[str, Interval]
    """95 %, from drawing subjects; empty with one fold."""


@dataclass(frozen=True)
class Leakage:
    """What the command found."""

    dataset: str
    network: str
    title: str
    clips: pd.DataFrame
    """Columns `clip,subject,label,fold,last,best,best_epoch`: prediction of the last epoch, and of the one chosen on
    the fold's own test clips."""
    claims: tuple[Claim, ...]


def page(dataset: str, network: str) -> Path:
    """The page of the command; no stage reads or writes it."""
    return _folder(dataset, network) / "leakage.html"


def table(dataset: str, network: str) -> Path:
    """The clips of the command; no stage reads or writes it."""
    return _folder(dataset, network) / "leakage.csv"


def _folder(dataset: str, network: str) -> Path:
    return paths.results(dataset) / ("" if network == networks.STANET else network)


def run(network: str = networks.STANET, report: Report = lambda fold, epoch, epochs: None) -> Leakage:
    """Train the folds of a network of the study in params.yaml once more, and write page and table.

    An interrupted run goes on with the first fold that was not finished.

    Parameters
    ----------
    network
        STANet, or a network that params.yaml lists.
    report
        Told about every epoch.

    Raises
    ------
    InputError
        The network is not part of the study, the study has not been run or cannot have this network, or its inputs
        have changed since.
    """
    params = load_params(paths.PARAMS)
    name, title = params.dataset, networks.network(network).title
    if network not in (networks.STANET, *params.networks.names):
        raise InputError(
            f"--network: expected one of {', '.join((networks.STANET, *params.networks.names))}, found {network}. Add "
            f"it to networks.names in {paths.PARAMS} and run `dvc repro`."
        )
    predictions = paths.predictions(name) if network == networks.STANET else paths.comparator(name, network)
    if not predictions.is_file():
        raise InputError(f"expected the results of {name}, found no {predictions}. Run `dvc repro` first.")
    honest = tables.read(predictions)
    if honest.empty:
        raise InputError(f"{predictions}: expected predictions of {title}, found none: {name} cannot have this network")
    classes = class_names.read(paths.classes(name))
    splits = {fold: tables.read(paths.split(name, fold)) for fold in params.trained_folds}
    folds = {fold: trainings.training(params, network, fold, classes, split) for fold, split in splits.items()}
    if any(training.fold.selection for training in folds.values()):
        raise InputError(
            f"{paths.PARAMS}: leakage: expected a fixed number of epochs, found `selection`, which chooses it inside "
            "each fold. Empty selection.epochs and selection.lambda."
        )
    first = next(iter(folds.values()))
    read = inputs.read(
        first.network, first.settings, trainings.sources_of(params, network), list(first.fold.split["clip"])
    )
    device = resolve_device(params.runtime.device)
    epochs = fold.epochs(first.network, first.settings)
    key = resume.key(
        {name: fold.key(*training, read, device) for name, training in folds.items()}, [Path(inspect.getfile(run))]
    )
    probabilities: dict[str, np.ndarray] = {}
    with resume.resumable(paths.resume("leakage", name, network), key) as kept:
        for number, (fold_name, training) in enumerate(folds.items()):
            if number not in kept.finished:

                def told(epoch: Epoch, fold_name: str = fold_name) -> None:
                    report(fold_name, epoch.number, epochs)

                kept.save(number, every_epoch(training, read, device, told))
            probabilities[fold_name] = kept.load(number)
        found = compare(name, network, title, classes, splits, probabilities, honest)
        targets = [page(name, network), table(name, network)]
        with staged(paths.partial("leakage", name, network), *targets) as [html, csv]:
            html.write_text(as_html(found), encoding="utf-8")
            found.clips.to_csv(csv, index=False)
    return found


def every_epoch(
    training: Training,
    read: inputs.Inputs,
    device: torch.device,
    report: Callable[[Epoch], object] = lambda epoch: None,
) -> np.ndarray:
    """Train a fold; return the probabilities of its test clips after every epoch of the last phase.

    Returns
    -------
    float64 (E, M, K); the last epoch is what `train` predicts.
    """
    after: dict[str, list[np.ndarray]] = {}

    def look(epoch: Epoch) -> None:
        after.setdefault(epoch.phase, []).append(epoch.predict())
        report(epoch)

    fold.run(*training, read, device, on_epoch=look)
    *_, last = after.values()
    return np.stack(last)


def compare(
    dataset: str,
    network: str,
    title: str,
    classes: list[str],
    splits: Mapping[str, pd.DataFrame],
    probabilities: Mapping[str, np.ndarray],
    honest: pd.DataFrame,
) -> Leakage:
    """Return pooled scores of the study, of the last epoch, and of each fold's best epoch on its own test clips.

    Parameters
    ----------
    dataset, network, title
        The study, the name of its network, and how people read it.
    classes
        K names.
    splits
        Split of each fold, by its name.
    probabilities
        Of each fold, by its name: (E, M, K), its test clips in the order of the split.
    honest
        Predictions of the study: columns `subject,label,predicted`.
    """
    rows = []
    for fold_name, split in splits.items():
        test = split[split["role"] == "test"].drop(columns="role")
        predicted = np.array(classes)[probabilities[fold_name].argmax(axis=2)]  # (E, M)
        correct = (predicted == test["label"].to_numpy()).sum(axis=1)
        best = int(correct.argmax())  # the first of equals, as code in circulation keeps it
        rows.append(test.assign(fold=fold_name, last=predicted[-1], best=predicted[best], best_epoch=best + 1))
    clips = pd.concat(rows, ignore_index=True)
    claims = (
        _claim("the study: the last epoch, as `train` predicted", honest, "predicted", classes),
        _claim("the last epoch of this training", clips, "last", classes),
        _claim("each fold's best epoch, chosen on its test clips", clips, "best", classes),
    )
    return Leakage(dataset, network, title, clips, claims)


def _claim(choice: str, clips: pd.DataFrame, column: str, classes: list[str]) -> Claim:
    predictions = clips[["subject", "label"]].assign(predicted=clips[column])
    scores = metrics.scores(metrics.confusion_matrix(predictions["label"], predictions["predicted"], classes))
    several = predictions["subject"].nunique() > 1
    return Claim(choice, scores, bootstrap_intervals(predictions, classes) if several else {})


def as_text(found: Leakage) -> str:
    """The claims for a terminal."""
    lines = [f"{found.dataset}, {found.title}: what choosing the epoch on the test clips would have claimed", ""]
    width = max(len(claim.choice) for claim in found.claims)
    for claim in found.claims:
        shown = "  ".join(f"{METRICS[name].label} {100 * value:.2f} %" for name, value in claim.scores.items())
        lines.append(f"{claim.choice:<{width}}  {shown}")
    gains = "  ".join(f"{METRICS[name].label} {100 * gain:+.2f}" for name, gain in gained(found).items())
    lines += [f"{'of which the choice alone, points':<{width}}  {gains}", ""]
    lines.append("The third line is no result: its epochs were chosen with the labels that it is scored on.")
    return "\n".join(lines) + "\n"


def gained(found: Leakage) -> dict[str, float]:
    """What the choice alone adds to each score, as a fraction: best minus last epoch of the same training."""
    _, last, best = found.claims
    return {name: best.scores[name] - last.scores[name] for name in METRICS}


def as_html(found: Leakage) -> str:
    """Return one page that needs no other file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    epochs = found.clips.drop_duplicates("fold")[["fold", "best_epoch"]].to_dict("records")
    return environment.get_template("leakage.html.jinja").render(
        found=found,
        labels={name: metric.label for name, metric in METRICS.items()},
        gained=gained(found),
        epochs=epochs,
    )
