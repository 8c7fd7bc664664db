"""The command `leakage`: what choosing the epoch on the test subject would have claimed.

The folds are trained once more exactly as `train` does, and after every epoch the network is shown the clips held out,
whose labels nothing in the training sees. Nothing of it is a result of the study: it is written to a page and a table
of its own, which no stage knows.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, StrictUndefined
from torch import Tensor

from pipeline import paths
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.significance import Interval, bootstrap_intervals
from pipeline.learning import memory, seeds, training
from pipeline.params import Params, load_params
from pipeline.stanet import fold
from pipeline.stanet.network import STANet
from pipeline.storage import clip_store, parts, resume, tables
from pipeline.storage.outputs import staged

Progress = Callable[[str, Iterable[int]], Iterable[int]]
"""Wraps the epochs of the fold of a subject, in a progress bar for example."""


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
    clips: pd.DataFrame
    """Columns `clip,subject,label,last,best,best_epoch`: prediction of the last epoch, and of the one chosen on the
    subject's own clips."""
    claims: tuple[Claim, ...]


def page(dataset: str) -> Path:
    """The page of the command; no stage reads or writes it."""
    return paths.results(dataset) / "leakage.html"


def table(dataset: str) -> Path:
    """The clips of the command; no stage reads or writes it."""
    return paths.results(dataset) / "leakage.csv"


def run(progress: Progress = lambda _, epochs: epochs) -> Leakage:
    """Train the folds of the study in params.yaml once more, and write page and table.

    An interrupted run goes on with the first fold that was not finished.

    Parameters
    ----------
    progress
        Wraps the epochs of a fold.

    Raises
    ------
    InputError
        The study has not been run, or its flow has changed since.
    """
    params = load_params(paths.PARAMS)
    name = params.dataset
    if not paths.predictions(name).is_file():
        raise InputError(f"expected the results of {name}, found no {paths.predictions(name)}. Run `dvc repro` first.")
    classes = json.loads(paths.classes(name).read_text())
    honest = tables.read(paths.predictions(name))
    splits = {subject: tables.read(paths.split(name, subject)) for subject in params.folds}
    flow = fold.read_flow(
        parts.read(paths.manifests(name, params.databases)), list(next(iter(splits.values()))["clip"])
    )
    device = resolve_device(params.runtime.device)
    key = resume.key(
        {subject: fold.key(params, subject, classes, split, flow, device) for subject, split in splits.items()},
        [Path(inspect.getfile(run))],
    )
    probabilities: dict[str, np.ndarray] = {}
    with resume.resumable(paths.resume("leakage", name), key) as kept:
        for number, (subject, split) in enumerate(splits.items()):
            if number not in kept.finished:
                kept.save(number, every_epoch(params, subject, classes, split, flow, device, progress))
            probabilities[subject] = kept.load(number)
        found = compare(name, classes, splits, probabilities, honest)
        targets = [page(name), table(name)]
        with staged(paths.partial("leakage", name), *targets) as [html, csv]:
            html.write_text(as_html(found), encoding="utf-8")
            found.clips.to_csv(csv, index=False)
    return found


def every_epoch(
    params: Params,
    subject: str,
    classes: list[str],
    split: pd.DataFrame,
    flow: fold.Flow,
    device: torch.device,
    progress: Progress = lambda _, epochs: epochs,
) -> np.ndarray:
    """Train the fold of a subject as `stanet.fold.run` does; probabilities of the clips held out after every epoch.

    Returns
    -------
    float64 (E, M, K); the last epoch is what `train` predicts.
    """
    memory.keep_freed_memory()
    training.fix_arithmetic(
        params.train.threads, tf32=params.train.precision == "tf32", deterministic=params.train.deterministic
    )
    seed = seeds.fold_seed(params.seed, params.dataset, subject)
    network = STANet(len(classes), **asdict(params.model), seed=seed)
    settings = fold.training_settings(params)
    train, test = (split[split["role"] == role] for role in ("train", "test"))
    shown = torch.tensor(clip_store.rows_of(list(test["clip"]), flow.clips))
    after: list[np.ndarray] = []
    fields: Tensor = flow.fields[shown]

    def watched(epochs: Iterable[int]) -> Iterator[int]:
        # The training goes on where `yield` stands: what follows it happens between two epochs.
        for epoch in progress(subject, epochs):
            yield epoch
            after.append(
                training.predict(network, fields, crop=settings.crop, batch_size=settings.batch_size, device=device)
            )
            network.train()

    training.train_fold(
        network,
        fold.stanet_objective(params.lambda_),
        flow.fields,
        torch.tensor(clip_store.rows_of(list(train["clip"]), flow.clips)),
        torch.tensor([classes.index(label) for label in train["label"]]),
        shown,
        settings=settings,
        seed=seed,
        device=device,
        progress=watched,
    )
    return np.stack(after)


def compare(
    dataset: str,
    classes: list[str],
    splits: Mapping[str, pd.DataFrame],
    probabilities: Mapping[str, np.ndarray],
    honest: pd.DataFrame,
) -> Leakage:
    """Pooled scores of the study, of the last epoch, and of each fold's best epoch on its own test subject.

    Parameters
    ----------
    dataset
        Its name.
    classes
        K names.
    splits
        Split of each fold, by the subject held out.
    probabilities
        Of each fold, by the subject held out: (E, M, K), its clips in the order of the split.
    honest
        Predictions of the study: columns `subject,label,predicted`.
    """
    rows = []
    for subject, split in splits.items():
        test = split[split["role"] == "test"].drop(columns="role")
        predicted = np.array(classes)[probabilities[subject].argmax(axis=2)]  # (E, M)
        correct = (predicted == test["label"].to_numpy()).sum(axis=1)
        best = int(correct.argmax())  # the first of equals, as code in circulation keeps it
        rows.append(test.assign(last=predicted[-1], best=predicted[best], best_epoch=best + 1))
    clips = pd.concat(rows, ignore_index=True)
    claims = (
        _claim("the study: the last epoch, as `train` predicted", honest, "predicted", classes),
        _claim("the last epoch of this training", clips, "last", classes),
        _claim("each fold's best epoch, chosen on its test subject", clips, "best", classes),
    )
    return Leakage(dataset, clips, claims)


def _claim(choice: str, clips: pd.DataFrame, column: str, classes: list[str]) -> Claim:
    predictions = clips[["subject", "label"]].assign(predicted=clips[column])
    scores = metrics.scores(metrics.confusion_matrix(predictions["label"], predictions["predicted"], classes))
    several = predictions["subject"].nunique() > 1
    return Claim(choice, scores, bootstrap_intervals(predictions, classes) if several else {})


def as_text(found: Leakage) -> str:
    """The claims for a terminal."""
    lines = [f"{found.dataset}: what choosing the epoch on the test subject would have claimed", ""]
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
    """One page that needs no other file."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    epochs = found.clips.drop_duplicates("subject")[["subject", "best_epoch"]].to_dict("records")
    return environment.from_string(_PAGE).render(
        found=found,
        labels={name: metric.label for name, metric in METRICS.items()},
        gained=gained(found),
        epochs=epochs,
    )


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What leakage is worth on {{ found.dataset }}</title>
<style>
body { margin: 0 auto; padding: 1.5rem 1.2rem 4rem; max-width: 60rem;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #8888; vertical-align: top; }
</style>
<h1>What leakage is worth on {{ found.dataset }}</h1>
<p>The folds were trained once more, and the clips of each held-out subject were shown to its network after every epoch.
Choosing each fold's epoch by these clips uses the labels that the score is made of. The last row of scores is therefore
no result: it is what such a choice would have claimed.</p>
<table>
<tr><th>Epoch</th>{% for label in labels.values() %}<th>{{ label }}</th>{% endfor %}</tr>
{% for claim in found.claims %}
<tr><td>{{ claim.choice }}</td>
{% for name in labels %}
{% set low, high = claim.intervals.get(name, (none, none)) %}
<td>{{ "%.2f" | format(100 * claim.scores[name]) }} %
{%- if low is not none %} ({{ "%.1f" | format(100 * low) }} to {{ "%.1f" | format(100 * high) }}){% endif %}</td>
{% endfor %}
</tr>
{% endfor %}
<tr><td>the choice alone, points</td>
{% for name in labels %}
<td>{{ "%+.2f" | format(100 * gained[name]) }}</td>
{% endfor %}
</tr>
</table>
<p>Pooled over the clips of all folds; in parentheses the 95 % interval over subjects. Among equally good epochs the
first was chosen.</p>
<table>
<tr><th>Subject held out</th><th>Epoch that its clips would have chosen</th></tr>
{% for row in epochs %}
<tr><td>{{ row.subject }}</td><td>{{ row.best_epoch }}</td></tr>
{% endfor %}
</table>
</html>
"""
