"""What a Dask worker does: train a fold for a caller that may be on another machine.

It reads flow.h5, and the results go back as bytes. Where it reaches the caller's checkout, it keeps the state of the
training there after every epoch, as the stage `train` does; elsewhere it writes nothing.
"""

import functools
import importlib.metadata
import io
import os
import platform
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from distributed import Worker, WorkerPlugin, get_worker

from pipeline import paths
from pipeline.device import resolve_device
from pipeline.params import parse_params
from pipeline.stanet import fold
from pipeline.storage import class_names, parts, resume, tables
from pipeline.storage.digests import md5, sha256

_ROOT = Path(__file__).parents[2]
_PACKAGES = "torch", "numpy"  # whose versions stand in every model, beside Python's


class FlowMissing(Exception):
    """The worker can reach no file with the flow of the study; the message is where it was looked for last."""


class OtherEnvironment(Exception):
    """The worker's code or packages are not those of the caller."""


class Stopped(Exception):
    """Nobody waits for the fold any more."""


def dask_setup(worker: Worker) -> None:
    """Called by Dask in workers of a local cluster: Ctrl-C is for the caller in the same terminal, which ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class SentFlow(WorkerPlugin):
    """flow.h5 on its way to the workers that cannot reach the caller's: once to each, also to those that join later."""

    def __init__(self, content: bytes, sha256: str) -> None:
        self._content, self._sha256 = content, sha256

    def setup(self, worker: Worker) -> None:
        """Put the file where `train` looks for it; the copy in memory is no longer needed."""
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
    subject: str,
    classes: str,
    split: str,
    manifests: Sequence[str],
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
    subject
        The subject that is held out.
    classes
        Text of classes.json.
    split
        Text of the split's table.
    manifests
        Text of the manifest of each database.
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
    FlowMissing
        There is no such file here, and it was not sent.
    OtherEnvironment
        Code or packages here are not the caller's.
    Stopped
        The task was cancelled.
    """
    _check(expected)
    worker = get_worker()
    settings = parse_params(params, paths.PARAMS)
    names = class_names.parse(classes, paths.classes(settings.dataset))
    fold_split = tables.read(io.StringIO(split))
    flow = fold.NO_FLOW if fold_split.empty else _flow(tuple(manifests), tuple(fold_split["clip"]), Path(root))
    device = _device(settings.runtime.device, worker)
    train = functools.partial(
        fold.run,
        *(settings, subject, names, fold_split, flow, device),
        progress=functools.partial(_watched, worker, str(worker.get_current_task()), topic),
    )
    if not kept or not os.access(root, os.W_OK):
        return train()
    with resume.resumable(Path(root) / kept, fold.key(settings, subject, names, fold_split, flow, device)) as finished:
        return train(parts=finished)


def _watched(worker: Worker, key: str, topic: str, epochs: Iterable[int]) -> Iterator[int]:
    """The epochs, each reported when it is through, until nobody waits for the result any more."""
    for epoch in epochs:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Stopped(key)
        yield epoch
        worker.log_event(topic, (key, epoch))


def _check(expected: Mapping[str, str]) -> None:
    found = _LOADED | {name: _LOADED.get(name, "not imported") for name in expected}
    wrong = [name for name in expected if expected[name] != found[name]]
    if wrong:
        named = (
            name if name.endswith(".py") else f"{name} {found[name]} instead of {expected[name]}" for name in wrong
        )
        raise OtherEnvironment(f"{platform.node()}, {_ROOT}: {', '.join(named)}")


@functools.lru_cache(maxsize=1)
def _flow(manifests: tuple[str, ...], clips: tuple[str, ...], root: Path) -> fold.Flow:
    """The flow of a study's clips, read once by each worker, from the caller's files or from those that it sent."""
    worker = get_worker()

    def locate(file: parts.File) -> Path:
        sent = _sent(worker, file.sha256)
        for path in (root / file.path, sent):
            if path.is_file() and sha256(path) == file.sha256:
                return path
        raise FlowMissing(f"{sent.parent} on {platform.node()}")

    return fold.read_flow([parts.parse(manifest, "manifest") for manifest in manifests], clips, locate)


def _sent(worker: Worker, digest: str) -> Path:
    return Path(worker.local_directory) / f"{digest}.h5"


def _device(name: str, worker: Worker) -> torch.device:
    """The workers of a local cluster, whose names are numbers, take turns with the GPUs."""
    device = resolve_device(name)
    if device.type == "cuda" and device.index is None and isinstance(worker.name, int):
        return torch.device("cuda", worker.name % torch.cuda.device_count())
    return device


# Taken when this module is imported: what a worker computes with is what it has loaded, whatever the files say later.
_LOADED = environment(
    Path(file).relative_to(_ROOT).as_posix()
    for name, module in list(sys.modules.items())
    if name.startswith("pipeline.") and (file := getattr(module, "__file__", None))
)
