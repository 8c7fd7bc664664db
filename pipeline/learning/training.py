"""Train on the clips of some subjects, predict those of others: one loop for every network.

A caller hands in the phases of the training, each a network with its objective (`learning.objective`) and settings.
The labels of the test clips never get here, so no epoch, no threshold and no model can be chosen by them.
"""

import inspect
import io
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.learning.augmentation import TEST_VIEW, View, Views, views
from pipeline.learning.compiler import check_compiler
from pipeline.learning.cuda_graph import Recorded
from pipeline.learning.objective import Objective, Output, OutputT
from pipeline.learning.seeds import derived_seed, generator, seeded
from pipeline.learning.settings import Augmented
from pipeline.storage.resume import Pieces


def _unguarded(optimiser: type[torch.optim.Optimizer]) -> Any:
    """One of PyTorch's optimisers without its guards against being compiled: only the network is.

    The first call of a guarded method loads the compiler (`torch._dynamo`), more than a second in every fold.
    """
    guarded = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain = {name: inspect.unwrap(getattr(optimiser, name)) for name in guarded}
    step = torch.no_grad()(inspect.unwrap(optimiser.step))
    return type(optimiser.__name__, (optimiser,), plain | {"step": step})


@dataclass(frozen=True)
class TrainingSettings:
    """What the training of a network depends on besides the clips, its objective and the seed."""

    epochs: int
    lr: float
    batch_size: int
    weight_decay: float = 0.0
    momentum: float | None = None
    """Of stochastic gradient descent; None for Adam."""
    shuffle: bool = True
    """The clips of an epoch come in a random order; otherwise in their own."""
    views: tuple[View, ...] = ()
    """Training views of a clip; without views its input tensor is shown as it is."""
    every_view: bool = False
    """An epoch shows every view of every clip; otherwise every clip once, in a random view."""
    crop: int = 0
    """Side of a view in pixels."""
    vectors: bool = True
    """The clips are flow, whose vectors change with its geometry; otherwise pictures."""
    precision: str = "float32"
    """`float32`; `tf32`: a GPU rounds the factors of products to 10 bits; `bf16`: layers compute in bfloat16, except
    those that ask for more, and parameters stay in float32."""
    compile: bool = False
    """The network is compiled before the first step."""


def augmented(
    settings: Augmented, *, vectors: bool, precision: str = "float32", compile: bool = False
) -> TrainingSettings:
    """Return the training settings of a network whose training clips are shown in views."""
    return TrainingSettings(
        epochs=settings.epochs,
        lr=settings.lr,
        batch_size=settings.batch_size,
        weight_decay=settings.weight_decay,
        views=views(settings.scales, settings.horizontal_flip),
        every_view=settings.views == "all",
        crop=settings.crop,
        vectors=vectors,
        precision=precision,
        compile=compile,
    )


@dataclass(frozen=True)
class Phase(Generic[OutputT]):
    """One training of a network. Most networks have a single phase."""

    name: str
    """Empty for a network with a single phase."""
    network: nn.Module
    """With its initial values; float32 (B, ...) -> output of the objective's kind."""
    objective: Objective[OutputT]
    settings: TrainingSettings


class Epoch(NamedTuple):
    """An epoch that has just been finished."""

    phase: str
    """Name of its phase."""
    number: int
    """From 1, counted over all phases and earlier trainings of the fold."""
    measures: dict[str, float]
    """The loss and each measure, means over the training views of the epoch, by column of the curve."""
    network: nn.Module
    """The network as it is now."""
    predict: Callable[[], np.ndarray]
    """Returns the probabilities of the test clips now, float64 (M, K); it changes nothing."""


class TrainedFold(NamedTuple):
    """What comes out of the training of a fold."""

    state: dict[str, Tensor]
    """State dict of the trained network, on the CPU."""
    probabilities: np.ndarray
    """float64 (M, K), a row per test clip, sum 1."""
    curve: pd.DataFrame
    """The columns of the objective: means over the training views of each epoch; with several phases their name in
    the column `network`."""


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
    # This tells PyTorch alone; `torch.use_deterministic_algorithms` loads the compiler to tell it as well.
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    # That also fills every new tensor, to show reads of unwritten memory: a third of the time of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = not deterministic


def train_fold(
    phases: Iterable[Phase[Any]],
    clips: Tensor,
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    seed: int,
    device: torch.device,
    threads: int,
    deterministic: bool = True,
    pieces: Pieces | None = None,
    done: int = 0,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> TrainedFold:
    """Train each phase for its fixed number of epochs, then predict with the network of the last one (section 4.1).

    Parameters
    ----------
    phases
        At least one; each is taken when the one before it has been trained.
    clips
        (N, ...), input tensors of all clips: flow (N, T, 2, H, W) in pixels per frame or pictures (N, T, C, H, W)
        where the settings have views.
    train
        int64 (L,), numbers of the training clips.
    labels
        int64 (L,), their classes.
    test
        int64 (M,), numbers of the clips to predict, whose labels are not given.
    seed
        Seed of the order of the clips and their views; a named phase has one of its own, derived from it.
    device
        Where to compute.
    threads, deterministic
        As for `fix_arithmetic`.
    pieces
        Where the state after the last finished epoch is kept; training goes on from the one found there, and ends with
        the bytes of a training that was never interrupted.
    done
        Number of epochs of earlier trainings, from which this one goes on counting.
    on_epoch
        Called after every epoch.

    Raises
    ------
    InputError
        The training diverges: a number is no longer finite.
    """
    clips = _near(clips, device)
    curves = {}
    for phase in phases:
        settings, network = phase.settings, phase.network
        fix_arithmetic(threads, tf32=settings.precision == "tf32", deterministic=deterministic)

        def predicted(network: nn.Module = network, settings: TrainingSettings = settings) -> np.ndarray:
            return predict(network, clips[test.to(clips.device)], settings, device)

        def finished(
            number: int,
            measures: dict[str, float],
            phase: Phase[Any] = phase,
            predicted: Callable[[], np.ndarray] = predicted,
        ) -> None:
            if on_epoch:
                on_epoch(Epoch(phase.name, number, measures, phase.network, predicted))

        curves[phase.name] = fit(
            phase,
            clips,
            train,
            labels,
            seed=derived_seed(seed, phase.name) if phase.name else seed,
            device=device,
            pieces=pieces,
            done=done,
            on_epoch=finished,
        )
        done += settings.epochs
    probabilities = predicted()
    _check(probabilities.sum(), "the sum of the probabilities")
    state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    return TrainedFold(state, probabilities, joined(curves))


def joined(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the curves of all phases, by name, as one table.

    With several phases the column `network` has their names; a cell is empty where a phase has no such measure.
    """
    if len(curves) == 1:
        return next(iter(curves.values()))
    columns = dict.fromkeys(column for curve in curves.values() for column in curve.columns)
    named = [curve.assign(network=name).reindex(columns=["network", *columns]) for name, curve in curves.items()]
    return pd.concat(named, ignore_index=True)


def fit(
    phase: Phase[OutputT],
    clips: Tensor,
    train: Tensor,
    labels: Tensor,
    *,
    seed: int,
    device: torch.device,
    pieces: Pieces | None = None,
    done: int = 0,
    on_epoch: Callable[[int, dict[str, float]], object] = lambda number, measures: None,
) -> pd.DataFrame:
    """Train one phase for its fixed number of epochs, in place.

    Parameters
    ----------
    phase
        Network, objective and settings.
    clips, train, labels, seed, device, pieces
        As for `train_fold`.
    done
        Number of epochs of the phases before; epochs are counted over all phases.
    on_epoch
        Called with the number of every epoch that was finished and the means of the epoch, by column of the curve.

    Returns
    -------
    The curve: the columns of the objective, means over the training views of each epoch.

    Raises
    ------
    InputError
        The training diverges: a number is no longer finite. Or the network is to be compiled and cannot be.
    """
    network, objective, settings = phase.network, phase.objective, phase.settings
    clips = _near(clips, device)
    show = _showing(settings, clips.shape, settings.views, device)
    train, labels = train.to(clips.device), labels.to(device)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's stub
    on_gpu = device.type == "cuda"
    optimiser = _optimiser(network, settings, on_gpu)
    stream = generator(seed)
    kept = _Kept(pieces, done, settings.epochs) if pieces else None
    rows = kept.restore(network, optimiser, stream) if kept else []
    if settings.compile:
        check_compiler(device)
    forward = compiled(network) if settings.compile else network
    network.train()

    def step(batch: Tensor, targets: Tensor, shown: Tensor) -> Tensor:
        """Learn from clips (B, ...), classes and views (B,): sums of loss and measures, float64 (1 + m,)."""
        fields = show(batch.float(), shown)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            output: OutputT = forward(fields)
            loss = objective.loss(output, targets)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        return len(targets) * _measured(objective, loss, output, targets)

    take_step = Recorded(step, network, optimiser) if on_gpu else step
    for epoch in range(len(rows) + 1, settings.epochs + 1):
        totals = torch.zeros(1 + len(objective.measures), dtype=torch.float64, device=device)
        clip, view = _order(len(train), settings, stream)
        with seeded(derived_seed(seed, "dropout", str(epoch)), device):
            for numbers, shown in zip(
                _batches(clip, clips.device, settings), _batches(view, device, settings), strict=True
            ):
                totals += take_step(_batch(clips, train[numbers], device), labels[numbers.to(device)], shown)
        rows.append((epoch, *(totals / len(clip)).tolist()))
        _check(rows[-1][1], f"the loss of epoch {epoch}")
        if kept:
            kept.keep(network, optimiser, stream, rows)
        on_epoch(done + epoch, dict(zip(objective.columns[1:], rows[-1][1:], strict=True)))
    return pd.DataFrame(rows, columns=list(objective.columns))


def _showing(
    settings: TrainingSettings, shape: Sequence[int], views: Sequence[View], device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """The function that shows clips (B, ...) in views with the numbers (B,)."""
    if not settings.views:
        return lambda clips, view: clips
    height, width = shape[-2:]
    return Views(views, settings.crop, height, width, device, vectors=settings.vectors).show


def _optimiser(network: nn.Module, settings: TrainingSettings, on_gpu: bool) -> torch.optim.Optimizer:
    common = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": True}
    if settings.momentum is not None:
        own = {"momentum": settings.momentum}
        optimiser = _unguarded(torch.optim.SGD)(network.parameters(), **common, **own)
    else:
        optimiser = _unguarded(torch.optim.Adam)(network.parameters(), **common, capturable=on_gpu)
    assert isinstance(optimiser, torch.optim.Optimizer)
    return optimiser


@torch.no_grad()
def predict(network: nn.Module, clips: Tensor, settings: TrainingSettings, device: torch.device) -> np.ndarray:
    """Return class probabilities in float32, in the test view (scale 1, centre crop) where the settings have views.

    Parameters
    ----------
    network
        On the device already, in the mode for training or the other one, and left in it; its outputs have logits
        (`objective.Output`).
    clips
        (M, ...), input tensors.
    settings
        Those of the training.
    device
        Where to compute.

    Returns
    -------
    float64 (M, K).
    """
    training = network.training
    network.eval()
    show = _showing(settings, clips.shape, [TEST_VIEW], device)
    rows = []
    for batch in torch.split(clips, settings.batch_size):
        output: Output = network(
            show(batch.to(device).float(), torch.zeros(len(batch), dtype=torch.long, device=device))
        )
        rows.append(torch.softmax(output.logits.double(), dim=1).cpu().numpy())
    network.train(training)
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
    torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled(), warn_only=True)  # of the compiler
    return torch.compile(network, dynamic=False)


def _batch(clips: Tensor, numbers: Tensor, device: torch.device) -> Tensor:
    """The clips with these numbers on the device, (B, T, C, H, W)."""
    batch = clips.index_select(0, numbers)
    if batch.device.type != device.type:
        batch = batch.pin_memory()  # a GPU fetches it from there by itself
    return batch.to(device, non_blocking=True)


def _order(clips: int, settings: TrainingSettings, stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clip and view of everything that one epoch shows, in the order of the epoch."""
    count = len(settings.views)
    if not settings.shuffle or not count:
        order = torch.randperm(clips, generator=stream) if settings.shuffle else torch.arange(clips)
        return order, torch.zeros_like(order)
    if settings.every_view:
        order = torch.randperm(clips * count, generator=stream)
        return order // count, order % count
    return torch.randperm(clips, generator=stream), torch.randint(count, (clips,), generator=stream)


def _batches(numbers: Tensor, device: torch.device, settings: TrainingSettings) -> tuple[Tensor, ...]:
    return torch.split(numbers.to(device), settings.batch_size)


class _Kept:
    """The state after the last finished epoch of one phase; that of the last epoch stays while later phases train."""

    def __init__(self, pieces: Pieces, done: int, epochs: int) -> None:
        self._parts, self._numbers = pieces, range(done + 1, done + epochs + 1)

    def keep(
        self,
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
        number = self._numbers[len(rows) - 1]
        self._parts.save(number, np.frombuffer(content.getbuffer(), dtype=np.uint8))
        if number > self._numbers.start:
            self._parts.remove(number - 1)

    def restore(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, stream: torch.Generator
    ) -> list[tuple[float, ...]]:
        """Go back to the state that was kept; returns the curve so far."""
        found = [number for number in self._parts.finished if number in self._numbers]
        if not found:
            return []
        content = io.BytesIO(self._parts.load(max(found)).tobytes())
        state = torch.load(content, map_location="cpu", weights_only=True)
        network.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        stream.set_state(state["generator"])
        return [tuple(row) for row in state["rows"]]


@torch.no_grad()
def _measured(objective: Objective[OutputT], loss: Tensor, output: OutputT, targets: Tensor) -> Tensor:
    """The loss and each measure of a batch: float64 (1 + measures,)."""
    return torch.stack([loss, *(measure(output, targets) for measure in objective.measures.values())]).double()
