"""The trainings of the study in params.yaml: which network, on which fold, from which files, into which files."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline import networks, paths
from pipeline.learning.fold import Fold
from pipeline.learning.network import Network
from pipeline.learning.selection import Selection
from pipeline.params import Params
from pipeline.storage import parts, sources
from pipeline.storage.sources import Source


class Training(NamedTuple):
    """A network on one fold of the study."""

    network: Network
    settings: Any
    fold: Fold


def training(params: Params, network: str, fold: str, classes: list[str], split: pd.DataFrame) -> Training:
    """Return the training of a network on a fold with these classes and this split."""
    return Training(
        networks.network(network),
        params.network_settings(network),
        Fold(
            dataset=params.dataset,
            name=fold,
            classes=classes,
            split=split,
            seed=params.seed,
            threads=params.train.threads,
            deterministic=params.train.deterministic,
            selection=selection(params, network),
        ),
    )


def selection(params: Params, network: str) -> Selection | None:
    """Return what each fold of a network chooses among; None where nothing is chosen."""
    if network != networks.STANET or not (params.selection.epochs or params.selection.lambda_):
        return None
    settings = params.network_settings(network)
    return Selection(
        candidates=tuple(
            (value, replace(settings, lambda_=value)) for value in params.selection.lambda_ or (params.lambda_,)
        ),
        epochs=tuple(sorted(params.selection.epochs or (params.train.epochs,))),
        folds=params.selection.folds,
        score=params.selection.score,
    )


def sources_of(params: Params, network: str) -> list[Source]:
    """Return the files that a network reads of each database of the study.

    STANet's are named in the manifests of the study, those of other networks in manifests of their own.

    Raises
    ------
    InputError
        A manifest is missing or damaged.
    """
    if network == networks.STANET:
        members = parts.read(paths.manifests(params.dataset, params.databases))
        return [Source(part.database, part.prefix, part.flow, None) for part in members]
    return sources.read({name: paths.inputs_of(params.dataset, network, name) for name in params.databases})


def stage_of(dataset: str, network: str, fold: str) -> str:
    """Return the name of the DVC stage of a training."""
    if network == networks.STANET:
        return f"train@{dataset}-{fold}"
    return f"train_network@{dataset}-{network}-{fold}"


def outputs(dataset: str, network: str, fold: str) -> list[Path]:
    """Return the files of a training: the model, the predictions, the curve, and of STANet the choices."""
    files = [path(dataset, fold, network) for path in (paths.model, paths.fold, paths.curve)]
    return [*files, paths.choices(dataset, fold)] if network == networks.STANET else files


def resume_folder(study: str, network: str, fold: str) -> Path:
    """Return the folder for what an interrupted training has finished; `study` is a dataset or an experiment."""
    return (
        paths.resume("train", study, fold)
        if network == networks.STANET
        else paths.resume(f"train_{network}", study, fold)
    )
