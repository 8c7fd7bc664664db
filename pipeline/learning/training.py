"""One fold: train on the clips of all other subjects, predict those of the subject held out.

The loop is the same for every network: a caller hands in the network and its objective (`learning.objective`).
The labels of the held-out clips never get here, so no epoch, no threshold and no model can be chosen by them.
"""

import io
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.learning.augmentation import TEST_VIEW, View, Views
from pipeline.learning.compiler import check_compiler
from pipeline.learning.cuda_graph import Recorded
from pipeline.learning.objective import Objective, Output, OutputT
from pipeline.learning.seeds import generator
from pipeline.storage.resume import Parts


@dataclass(frozen=True)
class TrainingSettings:
    """What the training of a fold depends on besides the clips, the network, its objective and the seed."""

    epochs: int
    lr: float
    weight_decay: float
    batch_size: int
    views: tuple[View, ...]
    """Training views of a clip."""
    every_view: bool
    """An epoch shows every view of every clip; otherwise every clip once, in a view drawn anew."""
    crop: int
    """Side of the network's input in pixels."""
    bfloat16: bool = False
    """Layers of the network compute in bfloat16, but for those that ask for more; parameters stay in float32."""
    compile: bool = False
    """The network is compiled before the first step."""
    vectors: bool = True
    """The clips are flow, whose vectors change with its geometry; otherwise pictures."""


class TrainedFold(NamedTuple):
    """What comes out of the training of a fold."""

    state: dict[str, Tensor]
    """State dict of the trained network, on the CPU."""
    probabilities: np.ndarray
    """float64 (M, K), a row per held-out clip, sum 1."""
    curve: pd.DataFrame
    """The columns of the objective: means over the training views of each epoch."""


def fix_arithmetic(threads: int, *, tf32: bool = False, deterministic: bool = True) -> None:
    """Make equal inputs give equal bytes on one kind of device; to be called before the first computation.

    Parameters
    ----------
    threads
        CPU threads: their number decides how sums are split.
    tf32
        CUDA rounds the factors of products to 10 bits.
    deterministic
        CUDA uses only operators whose result does not depend on the order in which threads finish.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when it starts
    torch.set_num_threads(threads)
    # A warning, no error, where an operator does not promise to be deterministic: PyTorch names none of the network's.
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    # That also fills every new tensor, to show reads of unwritten memory: a third of the time of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = not deterministic


def train_fold(
    network: nn.Module,
    objective: Objective[OutputT],
    flow: Tensor,
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    parts: Parts | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> TrainedFold:
    """Train for a fixed number of epochs, then predict (section 4.1).

    Parameters
    ----------
    network, objective, flow, train, labels, settings, seed, device, parts, progress
        As for `fit`.
    test
        int64 (M,), numbers of the clips to predict, whose labels are not given.

    Raises
    ------
    InputError
        The training diverges: a number is not finite any more.
    """
    flow = _near(flow, device)
    curve = fit(
        network,
        objective,
        flow,
        train,
        labels,
        settings=settings,
        seed=seed,
        device=device,
        parts=parts,
        progress=progress,
    )
    shown = flow[test.to(flow.device)]
    probabilities = predict(
        network, shown, crop=settings.crop, batch_size=settings.batch_size, device=device, vectors=settings.vectors
    )
    _check(probabilities.sum(), "the sum of the probabilities")
    state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    return TrainedFold(state, probabilities, curve)


def fit(
    network: nn.Module,
    objective: Objective[OutputT],
    clips: Tensor,
    train: Tensor,
    labels: Tensor,
    *,
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    parts: Parts | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> pd.DataFrame:
    """Train for a fixed number of epochs.

    Parameters
    ----------
    network
        With its initial values, trained in place; float32 (B, T, C, crop, crop) -> output of the objective's kind.
    objective
        What the network is trained for.
    clips
        (N, T, C, H, W), all clips of the study: flow in pixels per frame, float16 or float32, C = 2; or pictures.
    train
        int64 (L,), numbers of the training clips.
    labels
        int64 (L,), their classes.
    settings
        Optimiser, augmentation and arithmetic.
    seed
        Seed of the order of the clips and their views.
    device
        Where to compute.
    parts
        Where the state after the last finished epoch is kept; training goes on from the one found there, and ends with
        the bytes of a training that was never interrupted.
    progress
        Wraps the iteration over the epochs that are left.

    Returns
    -------
    The curve: the columns of the objective, means over the training views of each epoch.

    Raises
    ------
    InputError
        The training diverges: a number is not finite any more. Or the network is to be compiled and cannot be.
    """
    clips = _near(clips, device)
    height, width = clips.shape[-2:]
    views = Views(settings.views, settings.crop, height, width, device, vectors=settings.vectors)
    train, labels = train.to(clips.device), labels.to(device)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's stub
    on_gpu = device.type == "cuda"
    optimiser = torch.optim.Adam(
        network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True, capturable=on_gpu
    )
    stream = generator(seed)
    rows = _restore(parts, network, optimiser, stream) if parts else []
    if settings.compile:
        check_compiler(device)
    forward = compiled(network) if settings.compile else network
    network.train()

    def step(batch: Tensor, targets: Tensor, shown: Tensor) -> Tensor:
        """Learn from clips (B, T, C, H, W), classes and views (B,): sums of loss and measures, float64 (1 + m,)."""
        fields = views.show(batch.float(), shown)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            output: OutputT = forward(fields)
            loss = objective.loss(output, targets)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        return len(targets) * _measured(objective, loss, output, targets)

    take_step = Recorded(step, network, optimiser) if on_gpu else step
    for epoch in progress(range(len(rows) + 1, settings.epochs + 1)):
        totals = torch.zeros(1 + len(objective.measures), dtype=torch.float64, device=device)
        clip, view = _order(len(train), settings, stream)
        for numbers, shown in zip(
            _batches(clip, clips.device, settings), _batches(view, device, settings), strict=True
        ):
            totals += take_step(_batch(clips, train[numbers], device), labels[numbers.to(device)], shown)
        rows.append((epoch, *(totals / len(clip)).tolist()))
        _check(rows[-1][1], f"the loss of epoch {epoch}")
        if parts:
            _keep(parts, network, optimiser, stream, rows)
    return pd.DataFrame(rows, columns=list(objective.columns))


@torch.no_grad()
def predict(
    network: nn.Module, clips: Tensor, *, crop: int, batch_size: int, device: torch.device, vectors: bool = True
) -> np.ndarray:
    """Class probabilities in the test view (scale 1, centre crop), in float32: (M, T, C, H, W) -> float64 (M, K).

    `network` is on the device already; its outputs have logits (`objective.Output`). `vectors`: the clips
    are flow; otherwise pictures.
    """
    network.eval()
    height, width = clips.shape[-2:]
    view = Views([TEST_VIEW], crop, height, width, device, vectors=vectors)
    rows = []
    for batch in torch.split(clips, batch_size):
        shown = view.show(batch.to(device).float(), torch.zeros(len(batch), dtype=torch.long, device=device))
        output: Output = network(shown)
        rows.append(torch.softmax(output.logits.double(), dim=1).cpu().numpy())
    return np.concatenate(rows)


def _check(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"expected a training that converges, but {what} is {value}. Lower train.lr or lambda in params.yaml."
        )


def _near(clips: Tensor, device: torch.device) -> Tensor:
    """The clips on the device, or as they are where they would fill more than an eighth of its memory.

    Of all its memory, which several folds share: what is free changes while they start.
    """
    if device.type == "cpu":
        return clips
    memory = torch.cuda.get_device_properties(device).total_memory
    return clips.to(device) if clips.nbytes <= memory / 8 else clips


def compiled(network: nn.Module) -> Callable[[Tensor], Any]:
    """Return the network as one that is compiled for the shape of every batch, as if by a new process.

    Otherwise the compiler goes by what this process has compiled before, so that the last digits would hang on which
    fold was trained first, or where it was interrupted.
    """
    torch.compiler.reset()
    return torch.compile(network, dynamic=False)


def _batch(clips: Tensor, numbers: Tensor, device: torch.device) -> Tensor:
    """The clips with these numbers on the device, (B, T, C, H, W)."""
    batch = clips.index_select(0, numbers)
    if batch.device.type != device.type:
        batch = batch.pin_memory()  # a GPU fetches it from there by itself
    return batch.to(device, non_blocking=True)


def _order(clips: int, settings: TrainingSettings, stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clip and view of everything that one epoch shows, in a random order."""
    count = len(settings.views)
    if settings.every_view:
        order = torch.randperm(clips * count, generator=stream)
        return order // count, order % count
    return torch.randperm(clips, generator=stream), torch.randint(count, (clips,), generator=stream)


def _batches(numbers: Tensor, device: torch.device, settings: TrainingSettings) -> tuple[Tensor, ...]:
    return torch.split(numbers.to(device), settings.batch_size)


def _keep(
    parts: Parts,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    stream: torch.Generator,
    rows: list[tuple[float, ...]],
) -> None:
    """Keep the state after an epoch instead of the one before."""
    state = {
        "model": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": stream.get_state(),
        "rows": rows,
    }
    content = io.BytesIO()
    torch.save(state, content)
    parts.save(len(rows), np.frombuffer(content.getbuffer(), dtype=np.uint8))
    parts.remove(len(rows) - 1)


def _restore(
    parts: Parts,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    stream: torch.Generator,
) -> list[tuple[float, ...]]:
    """Go back to the state after the last epoch that was kept; gives the curve so far."""
    if not parts.finished:
        return []
    state = torch.load(io.BytesIO(parts.load(max(parts.finished)).tobytes()), map_location="cpu", weights_only=True)
    network.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    stream.set_state(state["generator"])
    return [tuple(row) for row in state["rows"]]


@torch.no_grad()
def _measured(objective: Objective[OutputT], loss: Tensor, output: OutputT, targets: Tensor) -> Tensor:
    """The loss and each measure of a batch: float64 (1 + measures,)."""
    return torch.stack([loss, *(measure(output, targets) for measure in objective.measures.values())]).double()
