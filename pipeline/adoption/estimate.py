"""How long a run will take on this machine and what it will write, from a few steps on random numbers."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.flow import estimators
from pipeline.learning import augmentation, training
from pipeline.learning.compiler import check_compiler
from pipeline.networks.stanet.network import STANet, stanet_loss
from pipeline.params import Params

# Bytes of a float16 flow vector's component, and of a network with its description.
_FLOW_BYTES, _MODEL_BYTES = 2, 2e6


def estimate(params: Params, clips: pd.DataFrame, areas: Sequence[int], device: torch.device) -> None:
    """Print the time of the flow and of the training, and the disk that the arrays take.

    Parameters
    ----------
    params
        The settings of the study.
    clips
        The clips that are studied, with the columns `subject`, `label` and `database`.
    areas
        Pixels of a frame of each recording of the databases, once it is cropped to the face or not.
    device
        Where the run will compute.
    """
    click.echo("\nMeasuring a few steps ...")
    compiled = params.train.compile and _can_compile(device)
    pairs = len(areas) * (params.interpolation.frames - 1)
    per_pair, remark = _seconds_per_pair(params, device)
    per_view, processor = _seconds_per_view(params, clips["label"].nunique(), device, compiled)
    augment = params.train.augmentation
    views = len(augmentation.views(augment.scales, augment.horizontal_flip)) if augment.views == "all" else 1
    tested = protocols.folds(params.protocol, params.folds, clips)
    trained = sum((~clips["subject"].isin(tested[fold])).sum() for fold in params.trained_folds)
    shown = trained * views * params.train.epochs
    compiling = _seconds_of_compiling(params, clips["label"].nunique(), device) if compiled else 0.0
    seconds = shown * per_view + compiling
    click.echo(f"On this machine ({processor}):")
    click.echo(f"  flow      {pairs} pairs of frames: " + (remark or f"about {_duration(pairs * per_pair)}"))
    folds = len(params.trained_folds)
    click.echo(f"  training  {folds} folds: about {_duration(seconds)}, {_duration(seconds / folds)} each")
    if compiling:
        click.echo(f"            of which about {_duration(compiling)} to compile the network")
    size = params.resize.size
    # interpolated.h5, then resized.h5 and stabilised.h5, which are one file in DVC's cache where head motion is kept
    copies = 1 if params.head_motion == "keep" else 2
    disk: float = 3 * params.interpolation.frames * (sum(areas) + copies * len(areas) * size**2)
    disk += pairs * 2 * size**2 * _FLOW_BYTES + folds * _MODEL_BYTES
    free = shutil.disk_usage(".").free
    click.echo(f"  disk      about {disk / 1e9:.1f} GB, {free / 1e9:.0f} GB are free")
    if disk > free:
        click.secho("WARNING: that will not fit", fg="red", err=True)


def _seconds_per_pair(params: Params, device: torch.device) -> tuple[float, str]:
    """Time for the flow of one pair of frames, or why it cannot be told."""
    size = params.resize.size
    pair = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    try:
        estimator = estimators.estimator(params.flow.method, Path(params.flow.weights), str(device))
    except InputError:
        return 0.0, (
            f"cannot be told before {params.flow.method} has its weights (flow.weights is {params.flow.weights}); "
            "--flow dis needs none"
        )
    return _seconds(lambda: estimator(pair)), ""


def _can_compile(device: torch.device) -> bool:
    """Whether networks can be compiled here; if not, print why."""
    try:
        check_compiler(device)
    except InputError as error:
        click.secho(f"WARNING: {error}. The estimate is without it.", fg="red", err=True)
        return False
    return True


def _seconds_per_view(params: Params, classes: int, device: torch.device, compiled: bool) -> tuple[float, str]:
    """Time of the training on one view of a clip, and the name of the device."""
    with _threads(params.train.threads):
        seconds = _seconds(_training_step(params, classes, device, compiled))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {params.train.threads} threads"
    return seconds / params.train.batch_size, name


def _seconds_of_compiling(params: Params, classes: int, device: torch.device) -> float:
    """Return the time that all folds take to compile the network: once in full, then from PyTorch's cache on disk.

    A fold compiles it for full batches and for what remains of an epoch.
    """
    durations = []
    with _threads(params.train.threads):
        for _ in range(2):
            step = _training_step(params, classes, device, compiled=True)
            begin = time.perf_counter()
            step()
            durations.append(time.perf_counter() - begin)
    return 2 * (durations[0] + (len(params.trained_folds) - 1) * durations[1])


def _training_step(params: Params, classes: int, device: torch.device, compiled: bool) -> Callable[[], None]:
    """Return a step of the training on one batch; its first call compiles the network if it is to be `compiled`."""
    model = STANet(classes, **dataclasses.asdict(params.model), seed=0).to(device)
    forward = training.compiled(model) if compiled else model
    side = params.train.augmentation.crop
    batch = torch.zeros((params.train.batch_size, params.interpolation.frames - 1, 2, side, side), device=device)
    targets = torch.zeros(len(batch), dtype=torch.long, device=device)

    def step() -> None:
        model.zero_grad()
        stanet_loss(forward(batch), targets, params.lambda_).backward()
        if batch.is_cuda:
            torch.cuda.synchronize()

    return step


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], object], times: int = 3) -> float:
    """Shortest duration of a step, after one to warm up: what else the machine does lengthens the others."""
    step()
    durations = []
    for _ in range(times):
        begin = time.perf_counter()
        step()
        durations.append(time.perf_counter() - begin)
    return min(durations)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
