"""All out-of-date folds of a study at once, on this machine or on a Dask cluster; DVC then finds them done.

The results come back as bytes, and this process alone writes them: into DVC's cache, each as soon as it is there. When
all are, `dvc repro` restores them into the workspace and runs what follows.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import torch
from dask.system import CPU_COUNT
from tqdm import tqdm

from pipeline import networks, paths, trainings
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.learning import fold
from pipeline.params import Params, load_params, parse_params
from pipeline.runs import integrity, queue, run_cache, worker
from pipeline.runs.queue import Job, Shared
from pipeline.runs.run_cache import Recipe
from pipeline.storage import sources
from pipeline.storage.digests import md5
from pipeline.storage.outputs import NO_ROOM


def run_folds(workers: int | None = None, scheduler: str | None = None) -> None:
    """Train all out-of-date folds of the active dataset, then run what follows.

    Parameters
    ----------
    workers
        Processes on this machine; None for as many as suit it.
    scheduler
        Address or scheduler file of a Dask cluster to use instead.

    Raises
    ------
    InputError
        A fold failed, the cluster is lost or has other code, or something was edited in the meantime. Finished folds
        are kept, whatever happens.
    """
    prepare(load_params(paths.PARAMS))
    params, text = _as_it_is()
    recipes = unknown(params, text)
    count = len(params.folds) * len(_networks(params))
    click.echo(f"{params.dataset}: {len(recipes)} of {count} folds to train")
    train_side_by_side(params, recipes, workers, scheduler)
    if unknown(*_as_it_is()):
        raise InputError(
            f"{paths.PARAMS}, code or data were changed while the folds were trained. The folds are kept for what "
            "they were trained with; run again to train those of what is there now"
        )
    _dvc("repro")


def _networks(params: Params) -> tuple[str, ...]:
    return (networks.STANET, *params.networks.names)


def prepare(params: Params) -> None:
    """Run what all folds build on, as far as it is out of date.

    Raises
    ------
    InputError
        A stage failed.
    """
    inputs = (f"network_inputs@{database}-{name}" for database in params.databases for name in params.networks.names)
    _dvc("repro", f"task@{params.dataset}", *inputs)


def unknown(params: Params, text: str, experiment: str = "") -> dict[Job, Recipe]:
    """Return the folds of all networks, or of STANet in an experiment, that DVC has no result of anywhere.

    Parameters
    ----------
    params
        The parameters of the study in the current folder.
    text
        params.yaml, or what an experiment makes of it.
    experiment
        Its name, to tell its folds from others in the same queue.

    Raises
    ------
    InputError
        A file changes while it is looked at.
    """
    trained = [
        (network, fold)
        for network in ((networks.STANET,) if experiment else _networks(params))
        for fold in params.folds
    ]
    stages = [trainings.stage_of(params.dataset, network, fold) for network, fold in trained]
    with tempfile.TemporaryDirectory() as folder:
        file = paths.PARAMS
        if experiment:
            file = Path(folder) / paths.PARAMS.name
            file.write_text(text, encoding="utf-8")
        recipes = run_cache.recipes(stages, file)
    if not experiment and file.read_text(encoding="utf-8") != text:
        raise InputError(f"{paths.PARAMS} was changed while the folds were looked at; run again")
    return {
        _job(params, text, network, fold, experiment, recipe): recipe
        for (network, fold), recipe in zip(trained, recipes, strict=True)
        if not recipe.known
    }


def train_side_by_side(params: Params, recipes: dict[Job, Recipe], workers: int | None, scheduler: str | None) -> None:
    """Train folds side by side; each is kept in DVC's cache as soon as it is finished.

    Parameters
    ----------
    params
        Of the study; its experiments may have others, which stand in their jobs.
    recipes
        The folds, as `unknown` gives them.
    workers, scheduler
        Where to train, as for `run_folds`.

    Raises
    ------
    InputError
        For the reasons of `run_folds`.
    """
    if not recipes:
        return
    if scheduler is not None:
        cluster = queue.running_cluster(scheduler)
    else:
        device = resolve_device(params.runtime.device)
        count = min(workers or default_workers(params, device), len(recipes))
        cluster = queue.local_cluster(count, crowded=count * params.train.threads > CPU_COUNT)
    kept, failed = 0, []
    try:
        with cluster as client, _Progress(params, list(recipes)) as progress:
            if not client.scheduler_info()["workers"]:
                progress.say("No worker is there yet: the folds wait for the first one")
            results = queue.results(client, list(recipes), _shared(recipes), progress.advance)
            with closing(results):
                for job, outcome in results:
                    if isinstance(outcome, Exception):
                        failed.append(job.name)
                        progress.say(f"{job.name} failed:\n{_report(outcome)}")
                    else:
                        _keep(params, job, recipes[job], outcome)
                        kept += 1
                        progress.say(f"{job.name} finished, {kept} of {len(recipes)}")
    except KeyboardInterrupt:
        click.echo(f"Stopped: {kept} of {len(recipes)} folds are kept; run again to go on from there", err=True)
        raise
    except InputError as error:
        if not kept:
            raise
        raise InputError(f"{error}. {kept} of {len(recipes)} folds are kept; run again to go on from there") from error
    if failed:
        raise InputError(
            f"{len(failed)} of {len(recipes)} folds failed: {', '.join(failed)}. The others are kept; when the cause "
            "is mended, run again to train what is missing"
        )


def default_workers(params: Params, device: torch.device) -> int:
    """As many workers as have `train.threads` cores each, and no more than one per GPU, which a fold keeps busy."""
    cores = max(1, CPU_COUNT // params.train.threads)
    if device.type == "cpu":
        return cores
    gpus = torch.cuda.device_count() if device.index is None else 1
    return min(cores, gpus)


def _epochs(params: Params, network: str) -> int:
    """Epochs of one fold."""
    return fold.epochs(
        networks.network(network), params.network_settings(network), trainings.selection(params, network)
    )


class _Progress:
    """A bar over the epochs of all folds, with the folds that are being trained; quiet where stderr is no terminal."""

    def __init__(self, params: Params, jobs: Sequence[Job]) -> None:
        self._epochs = {job.name: _epochs(parse_params(job.params, paths.PARAMS), job.network) for job in jobs}
        self._done: dict[str, int] = {}
        self._bar = tqdm(
            total=sum(self._epochs.values()),
            desc="folds",
            unit="epoch",
            disable=None if params.runtime.progress else True,
        )

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, name: str, epoch: int) -> None:
        """Epoch of a fold that is through; a fold that runs again elsewhere counts from its beginning."""
        self._done[name] = epoch
        self._bar.n = sum(self._done.values())
        under_way = ", ".join(f"{name} {epoch}" for name, epoch in self._done.items() if epoch < self._epochs[name])
        self._bar.set_postfix_str(under_way)

    def say(self, line: str) -> None:
        """Print above the bar."""
        self._bar.write(line)


def _as_it_is() -> tuple[Params, str]:
    """params.yaml and its text, now."""
    load_params(paths.PARAMS)  # whose errors say more than those of the next line
    text = paths.PARAMS.read_text(encoding="utf-8")
    return parse_params(text, paths.PARAMS), text


def _job(params: Params, text: str, network: str, fold: str, experiment: str, recipe: Recipe) -> Job:
    classes, split = paths.classes(params.dataset), paths.split(params.dataset, fold)
    manifests = paths.parts(params.dataset) if network == networks.STANET else paths.inputs(params.dataset, network)
    if integrity.folder_hash(manifests) != recipe.hashes[manifests.as_posix()]:
        raise InputError(f"{manifests} was changed while the folds were looked at; run again")
    # The folder of the stage: either goes on where the other was interrupted.
    kept = trainings.resume_folder(experiment or params.dataset, network, fold)
    return Job(
        name=" ".join(filter(None, (experiment, "" if network == networks.STANET else network, fold))),
        network=network,
        fold=fold,
        params=text,
        classes=_input(classes, recipe),
        split=_input(split, recipe),
        sources=sources.as_text(trainings.sources_of(params, network)),
        kept=str(kept),
    )


def _input(path: Path, recipe: Recipe) -> str:
    """A file's text, which must be what the recipe was made with."""
    content = path.read_bytes()
    if hashlib.md5(content).hexdigest() != recipe.hashes[path.as_posix()]:
        raise InputError(f"{path} was changed while the folds were looked at; run again")
    return content.decode()


def _shared(recipes: dict[Job, Recipe]) -> Shared:
    """What all jobs have in common; workers must have the modules that any of their stages depends on."""
    modules: dict[str, str] = {}
    for recipe in recipes.values():
        for path, digest in recipe.hashes.items():
            if path.startswith("pipeline/") and path.endswith(".py"):
                modules[path] = digest
            elif path.startswith("pipeline/"):  # the folder of a network
                if integrity.folder_hash(Path(path), "*.py") != digest:
                    raise InputError(f"{path} was changed while the folds were looked at; run again")
                modules |= {file.as_posix(): md5(file) for file in Path(path).rglob("*.py")}
    return Shared(Path.cwd(), worker.environment(["pipeline/runs/worker.py"]) | modules)


def _keep(params: Params, job: Job, recipe: Recipe, files: Sequence[bytes]) -> None:
    targets = trainings.outputs(params.dataset, job.network, job.fold)
    try:
        run_cache.keep(recipe, dict(zip(targets, files[: len(targets)], strict=True)))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise InputError(
                f"cannot keep {job.name} in DVC's cache: {os.strerror(error.errno)}. Free disk space and run again"
            ) from error
        raise


def _report(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else "".join(traceback.format_exception(error))


def _dvc(*arguments: str) -> None:
    """Run DVC as a person would; what it says is shown."""
    if subprocess.run([sys.executable, "-m", "dvc", *arguments]).returncode:
        raise InputError(f"`dvc {' '.join(arguments)}` failed: see above")
