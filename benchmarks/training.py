"""Speed and memory of the training, beside a plain training of the same network.

    python -m benchmarks.training            # step against the plain baseline, matrix rate, profile
    python -m benchmarks.training --growth   # time and memory of a fold against the number of clips
    python -m benchmarks.training --study    # 1, 2, 4 and 8 folds of 246 clips at a time, for a GPU

The flow is random: speed does not depend on it.
"""

import dataclasses
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import click
import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import matrix_rate, peak_memory, seconds
from pipeline import networks, paths, trainings
from pipeline.databases.profiles import PROFILES
from pipeline.device import resolve_device
from pipeline.learning import augmentation, fold, inputs, memory, training
from pipeline.learning.augmentation import View
from pipeline.learning.inputs import Inputs
from pipeline.learning.training import Epoch
from pipeline.networks.stanet.network import STANet, stanet_loss
from pipeline.params import Params, load_params, parse_params
from pipeline.storage import clip_store, params_file
from pipeline.storage.parts import file_of
from pipeline.storage.sources import Source

FRAMES, SIZE = 19, 192
CLIPS, CLASSES, SUBJECTS = 64, 5, 26
EPOCHS = 4  # of which the fastest counts
GROWTH = (60, 250, 1000)  # clips
STUDY = 246  # clips of CASME II
PRECISIONS = ("float32", "tf32", "bf16")
SIDE_BY_SIDE = (1, 2, 4, 8)  # folds at a time, on one device
SECONDS = 5.0  # for which each is measured


def write_flow(path: Path, clips: int) -> None:
    """flow.h5 of random vectors, a subject for each of the first clips and so on in turn."""
    rng = np.random.default_rng(0)
    names = [f"sub{clip % SUBJECTS + 1:02d}/{clip}" for clip in range(clips)]
    fields = (rng.normal(scale=0.1, size=(FRAMES, 2, SIZE, SIZE)).astype(np.float16) for _ in names)
    clip_store.write_stack(path, "flow", names, fields, {"method": "random"})


def read_flow(path: Path) -> Inputs:
    """All clips of a file, as a fold of the study reads them."""
    with clip_store.reading(path) as stored:
        clips = clip_store.clip_names(stored)
    return inputs.read(networks.network("stanet"), None, [Source("table", "", file_of(path), None)], clips)


class PlainClips(Dataset):
    """The usual way: every sample is read from the file and augmented by itself, on the CPU."""

    def __init__(self, path: Path, clips: int, views: Sequence[View], crop: int) -> None:
        self.path, self.clips, self.views, self.crop = path, clips, views, crop
        self.file: h5py.File | None = None

    def __len__(self) -> int:
        return self.clips

    def __getitem__(self, clip: int) -> tuple[Tensor, int]:
        self.file = self.file or h5py.File(self.path)  # one per worker
        view = self.views[torch.randint(len(self.views), ()).item()]
        flow = torch.from_numpy(self.file["flow"][clip]).float()
        if view.scale != 1:
            size = round(SIZE * view.scale)
            flow = functional.interpolate(flow, size=(size, size), mode="bilinear", align_corners=False) * view.scale
        right, down = (torch.randint(2, (2,)) * (torch.tensor(flow.shape[-2:]) - self.crop)).tolist()
        flow = flow[..., down : down + self.crop, right : right + self.crop]
        if view.flip:
            flow = flow.flip(-1) * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
        return flow, clip % CLASSES


def plain_clips_per_second(params: Params, path: Path, device: torch.device, workers: int) -> float:
    """The same network trained as usual: `DataLoader`, float32, no channels_last, no compiling."""
    shown = params.train.augmentation
    views, crop = augmentation.views(shown.scales, shown.horizontal_flip), shown.crop
    loader = DataLoader(
        PlainClips(path, CLIPS, views, crop),
        params.train.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
    model = STANet(CLASSES, **dataclasses.asdict(params.model)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=params.train.lr, weight_decay=params.train.weight_decay)

    def epoch() -> None:
        for flow, labels in loader:
            loss = stanet_loss(model(flow.to(device)), labels.to(device), params.lambda_)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return CLIPS / seconds(epoch, device, EPOCHS)


class Speed(NamedTuple):
    """Of a training."""

    clips: float
    """Shown per second, once it runs."""
    warm_up: float
    """Seconds that the first epoch took longer than the others: compiling, choosing of algorithms."""


def our_clips_per_second(params: Params, flow: Inputs, device: torch.device, **changes: object) -> Speed:
    """`training.train_fold`, by the time of its epochs."""
    memory.keep_freed_memory()
    deterministic = bool(changes.pop("deterministic", True))
    settings = dataclasses.replace(params.network_settings("stanet"), epochs=EPOCHS + 1, views="random", **changes)
    ticks = [time.perf_counter()]
    _train_fold(settings, flow, device, params.train.threads, deterministic, ticks)
    epochs = np.diff(ticks)
    return Speed(CLIPS / epochs[1:].min(), epochs[0] - epochs[1:].min())


def _train_fold(
    settings: object, flow: Inputs, device: torch.device, threads: int, deterministic: bool, ticks: list[float]
) -> None:
    """A fold that trains on the first clips and predicts the last one; appends the time after every epoch."""
    training.train_fold(
        networks.network("stanet").phases(CLASSES, settings, 0),
        flow.arrays,
        torch.arange(CLIPS),
        torch.arange(CLIPS) % CLASSES,
        torch.tensor([len(flow.clips) - 1]),
        seed=0,
        device=device,
        threads=threads,
        deterministic=deterministic,
        on_epoch=lambda epoch: ticks.append(time.perf_counter()),
    )


def gflop_per_clip(params: Params, device: torch.device) -> float:
    """Of convolutions and matrix products, forward and backward, without the two LSTMs (below 1 %)."""
    crop, batch = params.train.augmentation.crop, params.train.batch_size
    model = STANet(CLASSES, **dataclasses.asdict(params.model)).to(device)
    with FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(batch, FRAMES, 2, crop, crop, device=device))
        stanet_loss(output, torch.zeros(batch, dtype=torch.long, device=device), 1e-8).backward()
    return counter.get_total_flops() / batch / 1e9


def print_profile(params: Params, flow: Inputs, device: torch.device) -> None:
    """Where the time of an epoch goes."""
    settings = dataclasses.replace(params.network_settings("stanet"), epochs=1, views="random")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as taken:
        _train_fold(settings, flow, device, params.train.threads, True, [])
    own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = sorted(taken.key_averages(), key=lambda event: -getattr(event, own))
    total = sum(getattr(event, own) for event in events)
    click.echo("time of an epoch by operator:")
    for event in events[:12]:
        click.echo(f"  {event.key:<45} {getattr(event, own) / total:6.1%}")


def compare(params: Params, device: torch.device) -> None:
    """Step against the plain baseline and against the matrix rate."""
    training.fix_arithmetic(params.train.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flow.h5")
        write_flow(path, CLIPS + 1)
        flow = read_flow(path)
        rate, work = matrix_rate(device), gflop_per_clip(params, device)
        click.echo(
            f"matrix product, float32: {rate:.0f} GFLOP/s; a clip is {work:.2f} GFLOP: {rate / work:.1f} clips/s"
        )
        torch.use_deterministic_algorithms(False)
        plain = max(plain_clips_per_second(params, path, device, workers) for workers in (0, 2))
        click.echo(f"{'':<28}{'clips/s':>9}{'ratio':>7}{'of matrix rate':>16}{'warm-up s':>11}")
        click.echo(f"{'plain baseline':<28}{plain:>9.1f}{1:>7.2f}{plain * work / rate:>16.0%}")
        variants: dict[str, dict[str, object]] = {name: {"precision": name} for name in ("float32", "bf16")}
        if device.type == "cuda":
            variants |= {"float32, not deterministic": {"deterministic": False}, "tf32": {"precision": "tf32"}}
        variants |= {f"{name}, compiled": {**change, "compile": True} for name, change in variants.items()}
        for name, change in variants.items():
            ours = our_clips_per_second(params, flow, device, **change)
            click.echo(
                f"{name:<28}{ours.clips:>9.1f}{ours.clips / plain:>7.2f}{ours.clips * work / rate:>16.0%}"
                f"{ours.warm_up:>11.1f}"
            )
        print_profile(params, flow, device)


def measure_fold(params: Params, clips: int, device: torch.device, answer: multiprocessing.Queue) -> None:
    """One fold in a process of its own: seconds until its first step, seconds per epoch, peak memory (GiB)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flow.h5")
        write_flow(path, clips)
        start = time.perf_counter()
        flow = read_flow(path)
        ticks = []
        _run(params, flow, device, lambda epoch: ticks.append(time.perf_counter()))
        epochs = np.diff(ticks)
        answer.put((ticks[0] - start - epochs.min(), epochs.min(), peak_memory(device)))


def _run(params: Params, flow: Inputs, device: torch.device, on_epoch: Callable[[Epoch], object]) -> None:
    """Train a fold of the study."""
    made = trainings.training(params, "stanet", "sub01", _classes(), _split(flow))
    fold.run(*made, flow, device, on_epoch=on_epoch)


def _changed(values: dict[str, object]) -> Params:
    """The parameters of params.yaml with some others."""
    return parse_params(params_file.changed(paths.PARAMS, values)[0], paths.PARAMS)


def _classes() -> list[str]:
    return [f"class {number}" for number in range(CLASSES)]


def _split(flow: Inputs, subject: str = "sub01") -> pd.DataFrame:
    table = pd.DataFrame({"clip": flow.clips})
    table["subject"] = table["clip"].str.split("/").str[0]
    table["label"] = [_classes()[number % CLASSES] for number in range(len(table))]
    return table.assign(role=np.where(table["subject"] == subject, "test", "train"))


def growth(_: Params, device: torch.device) -> None:
    """Time and memory of a fold against the number of clips, one view of each per epoch."""
    params = _changed({"train.epochs": 3, "train.augmentation.views": "random"})
    start = time.perf_counter()
    process = multiprocessing.get_context("spawn").Process(target=time.time)
    process.start()
    process.join()
    click.echo(f"a new Python process with its imports: {time.perf_counter() - start:.1f} s")
    click.echo(f"{'clips':>6}{'until the first step, s':>25}{'epoch, s':>10}{'ms per clip':>13}{'peak GiB':>10}")
    for clips in GROWTH:
        answer = multiprocessing.get_context("spawn").Queue()
        process = multiprocessing.get_context("spawn").Process(
            target=measure_fold, args=(params, clips, device, answer)
        )
        process.start()
        first, epoch, peak = answer.get()
        process.join()
        shown = clips - -(-clips // SUBJECTS)  # without those of the subject held out
        click.echo(f"{clips:>6}{first:>25.1f}{epoch:>10.2f}{1000 * epoch / shown:>13.1f}{peak:>10.2f}")


def measure_rates(path: Path, device: torch.device, start: Barrier, answers: multiprocessing.Queue) -> None:
    """Clips that a fold in a process of its own is shown per second, beside the others that wait for `start`."""
    flow = read_flow(path)
    split = _split(flow)
    for precision in PRECISIONS:
        params = _changed({"train.epochs": 100_000, "train.augmentation.views": "random", "train.precision": precision})

        begin = 0.0

        def watch(epoch: Epoch, precision: str = precision) -> None:
            nonlocal begin
            if epoch.number == 1:  # which warms up
                start.wait()
                begin = time.perf_counter()
            elif (taken := time.perf_counter() - begin) > SECONDS:
                answers.put((epoch.number - 1) * (split["role"] == "train").sum() / taken)
                raise _Measured(precision)

        with suppress(_Measured):
            _run(params, flow, device, watch)
        start.wait()


class _Measured(Exception):
    """A training has run for long enough."""


def study(_: Params, device: torch.device) -> None:
    """Clips per second at every precision, several folds at a time; what a study like CASME II takes at that rate."""
    context = multiprocessing.get_context("spawn")
    paper = PROFILES["casme2"].settings
    shown = (SUBJECTS - 1) * STUDY * paper.epochs * len(augmentation.views(paper.scales, paper.horizontal_flip))
    click.echo(
        f"{SUBJECTS} folds of {STUDY} clips show {shown:,} views; views per second, and minutes for all of them:"
    )
    click.echo(f"{'at a time':<10}" + "".join(f"{precision:>22}" for precision in PRECISIONS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flow.h5")
        write_flow(path, STUDY)
        for workers in SIDE_BY_SIDE:
            start, answers = context.Barrier(workers), context.Queue()
            arguments = (path, device, start, answers)
            running = [context.Process(target=measure_rates, args=arguments) for _ in range(workers)]
            for process in running:
                process.start()
            rates = [sum(answers.get() for _ in running) for _ in PRECISIONS]
            for process in running:
                process.join()
            cells = "".join(f"{rate:>11.0f} ({shown / rate / 60:4.1f} min)" for rate in rates)
            click.echo(f"{workers:<10}{cells}")


@click.command()
@click.option("--growth", "part", flag_value="growth", help="Time and memory against the number of clips.")
@click.option("--study", "part", flag_value="study", help="Several folds at a time, and what a study takes; for a GPU.")
@click.option("--device", default="auto", show_default=True)
def main(part: str | None, device: str) -> None:
    """Print what training costs here."""
    params = load_params(paths.PARAMS)
    {None: compare, "growth": growth, "study": study}[part](params, resolve_device(device))


if __name__ == "__main__":
    main()
