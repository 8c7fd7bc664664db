"""The ablation study of section 4.3: four variants of the network as four DVC experiments, and Table 2."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pandas as pd
from ruamel.yaml import YAML
from tqdm import tqdm

from pipeline import paths
from pipeline.errors import InputError
from pipeline.evaluation import ablation_table
from pipeline.evaluation.ablation_table import Table
from pipeline.params import Params, load_params
from pipeline.runs import experiments, folds
from pipeline.runs.queue import Job
from pipeline.runs.run_cache import Recipe
from pipeline.storage import params_file, tables


@dataclass(frozen=True)
class Variant:
    """A row of Table 2."""

    name: str
    slug: str
    """How it is called in the names of experiments."""
    spatial_attention: bool
    temporal_attention: bool
    penalty: bool
    """The l1 norm of the mask counts in the loss, with the lambda of params.yaml."""


VARIANTS = (
    Variant("baseline", "baseline", spatial_attention=False, temporal_attention=False, penalty=False),
    Variant("+SAB", "sab", spatial_attention=True, temporal_attention=False, penalty=False),
    Variant("+SAB+l1", "sab-l1", spatial_attention=True, temporal_attention=False, penalty=True),
    Variant("+SAB+TAB+l1", "sab-tab-l1", spatial_attention=True, temporal_attention=True, penalty=True),
)


@dataclass(frozen=True)
class Experiment:
    """A variant and a seed."""

    name: str
    variant: Variant
    seed: int
    settings: dict[str, Any]
    """What differs from params.yaml."""


def planned(params: Params, seeds: int) -> list[Experiment]:
    """Experiments of an ablation over `seeds` seeds, from the one of params.yaml upwards.

    Raises
    ------
    InputError
        lambda is 0: with and without the penalty would be the same.
    """
    if params.lambda_ == 0:
        raise InputError(
            f"{paths.PARAMS}: lambda is 0, so the rows with and without l1 would be the same network. "
            "Set it to the weight that the rows with l1 should have (the paper: 1e-8)."
        )
    return [
        Experiment(
            f"{params.dataset}-{variant.slug}-seed{seed}",
            variant,
            seed,
            {
                "lambda": params.lambda_ if variant.penalty else 0,
                "model.spatial_attention": variant.spatial_attention,
                "model.temporal_attention": variant.temporal_attention,
                "seed": seed,
            },
        )
        for seed in range(params.seed, params.seed + seeds)
        for variant in VARIANTS
    ]


def run(seeds: int, workers: int | None = None, scheduler: str | None = None) -> Table:
    """Make the experiments that are missing and compare all of them.

    The checkout stays as it is, whatever happens: params.yaml, dvc.lock, results, the commit. Finished experiments of
    the same commit and settings are used as they are; folds that were trained before come out of DVC's run cache.

    Parameters
    ----------
    seeds
        Number of seeds.
    workers, scheduler
        Where the folds of all experiments are trained side by side, as in `folds.run_folds`.

    Raises
    ------
    InputError
        The dataset is not there; an experiment has the name of one of these but was made with other settings; or a
        stage failed, and its log says why.
    """
    params = load_params(paths.PARAMS)
    base = experiments.head()
    experiments.check_identity()
    plan = planned(params, seeds)
    _check_raw(params)
    if changed := experiments.uncommitted(base):
        click.echo(f"Uncommitted changes are part of the experiments: {', '.join(changed)}", err=True)
    click.echo(f"What DVC and the stages say is in {paths.ablation_logs(params.dataset)}/", err=True)
    with experiments.clone(paths.ablation_copy(), base, _borrowed(params)) as copy:
        _prepare(copy, params)
        missing = _missing(plan, base, params, copy)
        _train(missing, params, copy, workers, scheduler)
        _make(missing, params, copy)
    results: dict[str, dict[int, pd.DataFrame]] = {variant.name: {} for variant in VARIANTS}
    for experiment in plan:
        results[experiment.variant.name][experiment.seed] = _predictions(experiment, base, params.dataset)
    left_out = len(params.folds) - len(params.trained_folds)
    return ablation_table.table(params.dataset, tuple(range(params.seed, params.seed + seeds)), left_out, results)


def _check_raw(params: Params) -> None:
    for name, database in params.databases.items():
        raw = Path(database.raw)
        if raw != paths.SYNTHETIC and not raw.exists():
            raise InputError(
                f"{paths.PARAMS}: databases.{name}.raw: expected the folder of {name}, found nothing at {raw}. "
                f"Say where it is: python -m pipeline use {name} --from DIR"
            )


def _borrowed(params: Params) -> list[Path]:
    """Files that params.yaml names by a path in the checkout; a copy has those that git tracks anyway."""
    named = {Path(text) for text in _texts(dataclasses.asdict(params))}
    return sorted(path for path in named if not path.is_absolute() and path.is_file())


def _texts(value: object) -> Iterator[str]:
    """All texts among values in dictionaries and sequences that a name of a file could be."""
    if isinstance(value, str) and 0 < len(value.encode()) < 256:
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, (list, tuple)):
        yield from (text for each in value for text in _texts(each))


def _prepare(copy: experiments.Clone, params: Params) -> None:
    """What all variants share: everything up to the clips and their flow."""
    log = _fresh_log(params.dataset, "preparation")
    # With what dvc.lock names in place, DVC need not restore it stage by stage, writing all of dvc.lock for each.
    with contextlib.suppress(experiments.Failed):
        copy.dvc("checkout", "--quiet", "--allow-missing", log=log)
    try:
        copy.dvc("repro", f"task@{params.dataset}", log=log)
    except experiments.Failed as error:
        raise InputError(
            f"the stages before training failed; all of what they said is in {log}. It ends:\n{error}\n"
            "`dvc repro` shows the same. Mend it and run again."
        ) from error


def _missing(plan: Sequence[Experiment], base: str, params: Params, copy: experiments.Clone) -> list[Experiment]:
    """Experiments that have not been finished yet.

    Raises
    ------
    InputError
        There is one of the same name, made with something else.
    """
    missing, foreign = [], {}
    for experiment in plan:
        commit = experiments.commit_of(experiment.name, base)
        if commit is None:
            missing.append(experiment)
        elif differences := list(_differences(experiment, commit, params, copy.folder)):
            foreign[experiment.name] = differences
        elif experiments.output(paths.predictions(params.dataset), commit) is None:
            missing.append(experiment)
    if foreign:
        listed = "\n".join(f"  {name}: {'; '.join(differences)}" for name, differences in foreign.items())
        raise InputError(
            f"experiments of the same name were made on this commit with something else:\n{listed}\n"
            "Names of experiments belong to a commit. Commit your changes, and the old ones stay with the old commit; "
            f"or remove them: dvc exp remove {' '.join(foreign)}"
        )
    return missing


def _differences(experiment: Experiment, commit: str, params: Params, checkout: Path) -> Iterator[str]:
    """What the finished experiment at a commit depended on and is different now, by its dvc.lock."""
    yaml = YAML(typ="safe")
    then = yaml.load(experiments.tracked(paths.LOCK, commit) or "stages: {}")["stages"]
    now = yaml.load((checkout / paths.LOCK).read_text(encoding="utf-8"))["stages"]
    document = yaml.load((checkout / paths.PARAMS).read_text(encoding="utf-8"))
    flows = (f"extract_flow@{database}" for database in params.databases)
    for stage in (*flows, f"task@{params.dataset}"):
        if stage not in then or then[stage]["outs"] != now[stage]["outs"]:
            yield f"other outputs of {stage}"
    seen = set()
    for stage in (*(f"train@{params.dataset}-{fold}" for fold in params.folds), f"aggregate@{params.dataset}"):
        if stage not in then:
            yield f"{stage} is not part of it"
            continue
        for dependency in then[stage]["deps"]:
            code = checkout / dependency["path"]
            if code.suffix == ".py" and (
                not code.exists() or hashlib.md5(code.read_bytes()).hexdigest() != dependency["md5"]
            ):
                seen.add(f"another {dependency['path']}")
        for key, value in then[stage]["params"][paths.PARAMS.name].items():
            seen |= set(_changed(key, value, _value(document, key), experiment.settings))
    yield from sorted(seen)


def _changed(key: str, then: Any, now: Any, settings: dict[str, Any]) -> Iterator[str]:
    """Parameters that differ, in a section or alone, once `settings` hold."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted(then.keys() | now.keys()):
            yield from _changed(f"{key}.{name}", then.get(name), now.get(name), settings)
    elif then != settings.get(key, now):
        yield f"{key} was {then}, would be {settings.get(key, now)}"


def _value(document: dict[str, Any], key: str) -> Any:
    for name in key.split("."):
        document = document[name]
    return document


def train_folds(seeds: int, workers: int | None = None, scheduler: str | None = None) -> None:
    """Train the folds of all experiments side by side, into DVC's run cache; the checkout stays as it is.

    Raises
    ------
    InputError
        For the reasons of `folds.run_folds`.
    """
    params = load_params(paths.PARAMS)
    plan = planned(params, seeds)
    folds.prepare(params)
    recipes = _unknown(plan, params)
    click.echo(f"{params.dataset}: {len(recipes)} folds of {len(plan)} experiments to train")
    folds.train_side_by_side(params, recipes, workers, scheduler)


def _train(
    missing: Sequence[Experiment],
    params: Params,
    copy: experiments.Clone,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Train the folds of the experiments in the copy."""
    log = _fresh_log(params.dataset, "training")
    with (
        log.open("w", encoding="utf-8", buffering=1) as stream,
        contextlib.redirect_stdout(stream),
        contextlib.chdir(copy.folder),
    ):
        try:
            folds.train_side_by_side(params, _unknown(missing, params), workers, scheduler)
        except InputError as error:
            raise InputError(f"{error}. All of what was said is in {log}") from error


def _unknown(plan: Sequence[Experiment], params: Params) -> dict[Job, Recipe]:
    """The folds of experiments on the study in the current folder that DVC has no result of."""
    recipes: dict[Job, Recipe] = {}
    for experiment in plan:
        text, _ = params_file.changed(paths.PARAMS, experiment.settings)
        recipes |= folds.unknown(params, text, experiment.name)
    return recipes


def _make(missing: Sequence[Experiment], params: Params, copy: experiments.Clone) -> None:
    """Make experiments, one after the other; their folds are in the run cache."""
    quiet = None if params.runtime.progress else True  # None: where stderr is no terminal
    for experiment in tqdm(missing, desc="ablation", unit="experiment", disable=quiet):
        log = _fresh_log(params.dataset, experiment.name)
        try:
            copy.run(experiment.name, experiment.settings, log)
        except experiments.Failed as error:
            raise InputError(
                f"the experiment {experiment.name} failed; all of what it said is in {log}. It ends:\n{error}\n"
                "What was finished before is kept: mend it and run again."
            ) from error


def _fresh_log(dataset: str, name: str) -> Path:
    log = paths.ablation_logs(dataset) / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    return log


def _predictions(experiment: Experiment, base: str, dataset: str) -> pd.DataFrame:
    commit = experiments.commit_of(experiment.name, base)
    text = commit and experiments.output(paths.predictions(dataset), commit)
    if not text:
        raise InputError(f"the experiment {experiment.name} was removed during the run; run again")
    return tables.read(StringIO(text))
