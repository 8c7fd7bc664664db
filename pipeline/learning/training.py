"""One fold: train on the clips of all other subjects, predict those of the subject held out.

The labels of the held-out clips never get here, so no epoch, no threshold and no model can be chosen by them.
"""

import hashlib
import io
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import InputError
from pipeline.learning.augmentation import TEST_VIEW, View, Views
from pipeline.stanet.network import STANet, STANetOutput, mask_l1, stanet_loss
from pipeline.storage.resume import Parts

CURVE_COLUMNS = ("epoch", "loss", "cross_entropy", "mask_l1", "accuracy")


@dataclass(frozen=True)
class Settings:
    """What the training of a fold depends on besides the clips and the seed."""

    model: dict[str, Any]
    """Keyword arguments of `STANet`, without `classes` and `seed`."""
    lambda_: float
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
    """Layers of the network compute in bfloat16; temporal weights, loss and parameters stay in float32."""
    compile: bool = False
    """The network is compiled before the first step."""


class Fold(NamedTuple):
    """What comes out of a fold."""

    state: dict[str, Tensor]
    """State dict of the trained network, on the CPU."""
    probabilities: np.ndarray
    """float64 (M, K), a row per held-out clip, sum 1."""
    curve: pd.DataFrame
    """Columns `CURVE_COLUMNS`: means over the training views of each epoch."""


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
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = not deterministic


def fold_seed(seed: int, dataset: str, subject: str) -> int:
    """Seed of a fold, the same whichever folds run before it: an integer of 63 bits."""
    digest = hashlib.sha256(f"{seed}/{dataset}/{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def train_fold(
    flow: Tensor,
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    classes: int,
    settings: Settings,
    seed: int,
    device: torch.device,
    parts: Parts | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Fold:
    """Train for a fixed number of epochs, then predict (section 4.1).

    Parameters
    ----------
    flow
        float16 or float32 (N, T, 2, H, W), all clips of the study, pixels per frame.
    train
        int64 (L,), numbers of the training clips.
    labels
        int64 (L,), their classes.
    test
        int64 (M,), numbers of the clips to predict, whose labels are not given.
    classes
        K.
    settings
        Network, optimiser and augmentation.
    seed
        Of the initial weights, the order of the clips and their views.
    device
        Where to compute.
    parts
        Where the state after the last finished epoch is kept; training goes on from the one found there, and ends with
        the bytes of a training that was never interrupted.
    progress
        Wraps the iteration over the epochs that are left.

    Raises
    ------
    InputError
        The training diverges: a number is not finite any more.
    """
    flow = _near(flow, device)
    views = Views(settings.views, settings.crop, *flow.shape[-2:], device)
    train, labels = train.to(flow.device), labels.to(device)
    model = STANet(classes, **settings.model, seed=seed).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    generator = torch.Generator().manual_seed(seed)  # on the CPU: every device draws the same numbers
    rows = _restore(parts, model, optimiser, generator) if parts else []
    network = _compiled(model) if settings.compile else model
    model.train()
    for epoch in progress(range(len(rows) + 1, settings.epochs + 1)):
        totals = torch.zeros(4, dtype=torch.float64, device=device)
        clip, view = _order(len(train), settings, generator)
        for clips, shown in zip(_batches(clip, flow.device, settings), _batches(view, device, settings), strict=True):
            targets = labels[clips.to(device)]
            fields = views.show(_batch(flow, train[clips], device), shown)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
                output = network(fields)
                loss = stanet_loss(output, targets, settings.lambda_)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            totals += len(clips) * _measures(loss, output, targets)
        rows.append((epoch, *(totals / len(clip)).tolist()))
        _check(rows[-1][1], f"the loss of epoch {epoch}")
        if parts:
            _keep(parts, model, optimiser, generator, rows)
    curve = pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
    test = test.to(flow.device)
    probabilities = predict(model, flow[test], crop=settings.crop, batch_size=settings.batch_size, device=device)
    _check(probabilities.sum(), "the sum of the probabilities")
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    return Fold(state, probabilities, curve)


@torch.no_grad()
def predict(model: STANet, flow: Tensor, *, crop: int, batch_size: int, device: torch.device) -> np.ndarray:
    """Class probabilities in the test view (scale 1, centre crop), in float32: (M, T, 2, H, W) -> float64 (M, K)."""
    model.eval()
    view = Views([TEST_VIEW], crop, *flow.shape[-2:], device)
    rows = []
    for batch in flow.split(batch_size):
        shown = view.show(batch.to(device).float(), torch.zeros(len(batch), dtype=torch.long, device=device))
        rows.append(torch.softmax(model(shown).logits.double(), dim=1).cpu().numpy())
    return np.concatenate(rows)


def _check(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"expected a training that converges, but {what} is {value}. Lower train.lr or lambda in params.yaml."
        )


def _near(flow: Tensor, device: torch.device) -> Tensor:
    """The clips on the device, or as they are where they would fill more than an eighth of its memory.

    Of all its memory, which several folds share: what is free changes while they start.
    """
    if device.type == "cpu":
        return flow
    memory = torch.cuda.get_device_properties(device).total_memory
    return flow.to(device) if flow.nbytes <= memory / 8 else flow


def _compiled(model: STANet) -> Any:
    """Compiled anew for the shape of every batch, as if by a new process.

    Otherwise the compiler goes by what this process has compiled before, so that the last digits would hang on which
    fold was trained first, or where it was interrupted.
    """
    torch.compiler.reset()
    return torch.compile(model, dynamic=False)


def _batch(flow: Tensor, clips: Tensor, device: torch.device) -> Tensor:
    """float32 (B, T, 2, H, W) on the device."""
    batch = flow.index_select(0, clips)
    if batch.device.type != device.type:
        batch = batch.pin_memory()  # a GPU fetches it from there by itself
    return batch.to(device, non_blocking=True).float()


def _order(clips: int, settings: Settings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clip and view of everything that one epoch shows, in a random order."""
    count = len(settings.views)
    if settings.every_view:
        order = torch.randperm(clips * count, generator=generator)
        return order // count, order % count
    return torch.randperm(clips, generator=generator), torch.randint(count, (clips,), generator=generator)


def _batches(numbers: Tensor, device: torch.device, settings: Settings) -> tuple[Tensor, ...]:
    return numbers.to(device).split(settings.batch_size)


def _keep(
    parts: Parts,
    model: STANet,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    rows: list[tuple[float, ...]],
) -> None:
    """Keep the state after an epoch instead of the one before."""
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
        "rows": rows,
    }
    content = io.BytesIO()
    torch.save(state, content)
    parts.save(len(rows), np.frombuffer(content.getbuffer(), dtype=np.uint8))
    parts.remove(len(rows) - 1)


def _restore(
    parts: Parts,
    model: STANet,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> list[tuple[float, ...]]:
    """Go back to the state after the last epoch that was kept; gives the curve so far."""
    if not parts.finished:
        return []
    state = torch.load(io.BytesIO(parts.load(max(parts.finished)).tobytes()), map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    generator.set_state(state["generator"])
    return [tuple(row) for row in state["rows"]]


@torch.no_grad()
def _measures(loss: Tensor, output: STANetOutput, targets: Tensor) -> Tensor:
    """Loss, cross entropy, l1 norm of the mask and accuracy of a batch: float64 (4,)."""
    cross_entropy = functional.cross_entropy(output.logits.float(), targets)
    l1 = torch.zeros_like(loss) if output.mask is None else mask_l1(output.mask)
    accuracy = (output.logits.argmax(dim=1) == targets).float().mean()
    return torch.stack([loss, cross_entropy, l1, accuracy]).double()
