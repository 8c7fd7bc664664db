"""What a Dask worker does: train a fold for a caller that may be on another machine.

It reads the files that the network reads, and the results go back as bytes. Where it reaches the caller's checkout, it
keeps the state of the training there after every epoch, as the stage `train` does; elsewhere it writes nothing.
"""

import functools
import importlib
import importlib.metadata
import io
import os
import platform
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from distributed import Worker, WorkerPlugin, get_worker

from pipeline import paths, trainings
from pipeline.device import resolve_device
from pipeline.learning import fold, inputs
from pipeline.learning.inputs import Inputs
from pipeline.learning.network import Network
from pipeline.learning.training import Epoch
from pipeline.params import parse_params
from pipeline.storage import class_names, resume, sources, tables
from pipeline.storage.digests import md5, sha256
from pipeline.storage.parts import File

_ROOT = Path(__file__).parents[2]
_PACKAGES = "torch", "numpy"  # whose versions stand in every model, beside Python's


class InputMissing(Exception):
    """The worker cannot reach a file that the network reads; the message is where it was looked for last."""


class OtherEnvironment(Exception):
    """The worker's code or packages are not those of the caller."""


class Stopped(Exception):
    """Nobody waits for the fold any more."""


def dask_setup(worker: Worker) -> None:
    """Called by Dask in workers of a local cluster: Ctrl-C is for the caller in the same terminal, which ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class SentFile(WorkerPlugin):
    """A file on its way to the workers that cannot reach the caller's: once to each, also to those that join later."""

    def __init__(self, content: bytes, sha256: str) -> None:
        self._content, self._sha256 = content, sha256

    def setup(self, worker: Worker) -> None:
        """Put the file where `train_fold` looks for it; the copy in memory is no longer needed."""
        _sent(worker, self._sha256).write_bytes(self._content)
        self._content = b""

    def teardown(self, worker: Worker) -> None:
        """Remove the file."""
        _sent(worker, self._sha256).unlink(missing_ok=True)


def environment(modules: Iterable[str]) -> dict[str, str]:
    """What the bytes of a fold depend on besides its inputs: versions of packages, and the MD5 of modules on disk."""
    versions = {"Python": platform.python_version()}
    for name in _PACKAGES:
        versions[name] = importlib.metadata.version(name).partition("+")[0]  # 2.13.0+cpu, 2.13.0+cu130
    return versions | {module: md5(_ROOT / module) for module in modules}


def train_fold(
    params: str,
    network: str,
    name: str,
    classes: str,
    split: str,
    files: str,
    root: str,
    expected: Mapping[str, str],
    topic: str,
    kept: str = "",
) -> fold.Files:
    """Train one fold: `fold.run` with its arguments as text, so that they can be sent to anywhere.

    Parameters
    ----------
    params
        Text of params.yaml.
    network
        Name of the network.
    name
        Name of the fold.
    classes
        Text of classes.json.
    split
        Text of the split's table.
    files
        What the network reads of each database, as `sources.as_text` writes it.
    root
        The caller's checkout, absolute.
    expected
        The caller's `environment`.
    topic
        The topic of Dask's events that say which epoch is through: (key of the task, epoch).
    kept
        Folder for what an interrupted training has finished, relative to `root`; empty to keep nothing.

    Raises
    ------
    InputError
        Another process trains the same fold in the caller's checkout.
    InputMissing
        A file that the network reads is not here, and was not sent.
    OtherEnvironment
        Code or packages here are not the caller's.
    Stopped
        The task was cancelled.
    """
    settings = parse_params(params, paths.PARAMS)
    names = class_names.parse(classes, paths.classes(settings.dataset))
    training = trainings.training(settings, network, name, names, tables.read(io.StringIO(split)))
    importlib.import_module(f"{training.network.module}.method")  # to be compared with the caller's
    _check(expected)
    worker = get_worker()
    clips = tuple(training.fold.split["clip"])
    read = _inputs(training.network, training.settings, files, clips, Path(root)) if clips else inputs.NOTHING
    device = _device(settings.runtime.device, worker)
    train = functools.partial(
        fold.run,
        *training,
        read,
        device,
        on_epoch=functools.partial(_watched, worker, str(worker.get_current_task()), topic),
    )
    if not kept or not os.access(root, os.W_OK):
        return train()
    with resume.resumable(Path(root) / kept, fold.key(*training, read, device)) as finished:
        return train(pieces=finished)


def _watched(worker: Worker, key: str, topic: str, epoch: Epoch) -> None:
    """Report an epoch; end the training when nobody waits for its result any more."""
    task = worker.state.tasks.get(key)
    if task is None or task.state == "cancelled":
        raise Stopped(key)
    worker.log_event(topic, (key, epoch.number))


def _check(expected: Mapping[str, str]) -> None:
    loaded = _modules()
    found = {name: loaded.get(name) or _on_disk(name) for name in expected}
    wrong = [name for name in expected if expected[name] != found[name]]
    if wrong:
        named = (
            name if name.endswith(".py") else f"{name} {found[name]} instead of {expected[name]}" for name in wrong
        )
        raise OtherEnvironment(f"{platform.node()}, {_ROOT}: {', '.join(named)}")


@functools.lru_cache(maxsize=1)
def _inputs(network: Network, settings: Any, files: str, clips: tuple[str, ...], root: Path) -> Inputs:
    """What a network reads of a study's clips, read once for all folds, from the caller's files or those it sent."""
    worker = get_worker()

    def locate(file: File) -> Path:
        sent = _sent(worker, file.sha256)
        for path in (root / file.path, sent):
            if path.is_file() and sha256(path) == file.sha256:
                return path
        raise InputMissing(f"{sent.parent} on {platform.node()}")

    return inputs.read(network, settings, sources.parse(files), clips, locate)


def _sent(worker: Worker, digest: str) -> Path:
    return Path(worker.local_directory) / f"{digest}.h5"


def _device(name: str, worker: Worker) -> torch.device:
    """The workers of a local cluster, whose names are numbers, take turns with the GPUs."""
    device = resolve_device(name)
    if device.type == "cuda" and device.index is None and isinstance(worker.name, int):
        return torch.device("cuda", worker.name % torch.cuda.device_count())
    return device


def _on_disk(module: str) -> str:
    """The MD5 of a module that is loaded later, if at all."""
    path = _ROOT / module
    return md5(path) if path.is_file() else "missing"


def _modules() -> dict[str, str]:
    """The `environment` of every module of the pipeline that this process has loaded, each as it was when loaded."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if name.startswith("pipeline.") and file.is_relative_to(_ROOT):
            path = file.relative_to(_ROOT).as_posix()
            if path not in _LOADED:
                _LOADED[path] = md5(file)
    return _LOADED


# Taken when this module is imported, and again for modules that are loaded later: what a worker computes with is what
# it has loaded, whatever the files say later.
_LOADED: dict[str, str] = environment([])
_modules()
