"""One fold: train on the clips of all other subjects, predict those of the subject held out.

The labels of the held-out clips never get here, so no epoch, no threshold and no model can be chosen by them.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from pipeline import augmentation
from pipeline.augmentation import TEST_VIEW, View
from pipeline.stanet import STANet, mask_l1, stanet_loss

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


class Fold(NamedTuple):
    """What comes out of a fold."""

    state: dict[str, Tensor]
    """State dict of the trained network, on the CPU."""
    probabilities: np.ndarray
    """float64 (M, K), a row per held-out clip, sum 1."""
    curve: pd.DataFrame
    """Columns `CURVE_COLUMNS`: means over the training views of each epoch."""


def fix_arithmetic(threads: int) -> None:
    """Make equal inputs give equal bytes on one kind of device; to be called before the first computation.

    The number of CPU threads decides how sums are split, so it is fixed; CUDA uses only operators that are
    deterministic, and float32 that is not shortened to TF32.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when it starts
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # That also fills every new tensor, to show reads of unwritten memory: a third of the time of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


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
    progress
        Wraps the iteration over the epochs.
    """
    generator = torch.Generator().manual_seed(seed)  # on the CPU: every device draws the same numbers
    model = STANet(classes, **settings.model, seed=seed).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    flow, labels = flow.to(device), labels.to(device)
    rows = []
    model.train()
    for epoch in progress(range(1, settings.epochs + 1)):
        totals = torch.zeros(4, dtype=torch.float64, device=device)
        shown = 0
        for clips, views in _batches(len(train), settings, generator):
            targets = labels[clips]
            output = model(augmentation.apply(flow[train[clips]].float(), views, settings.crop))
            loss = stanet_loss(output, targets, settings.lambda_)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            totals += len(clips) * _measures(loss, output, targets)
            shown += len(clips)
        rows.append((epoch, *(totals / shown).tolist()))
    curve = pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
    probabilities = predict(model, flow[test], crop=settings.crop, batch_size=settings.batch_size, device=device)
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    return Fold(state, probabilities, curve)


@torch.no_grad()
def predict(model: STANet, flow: Tensor, *, crop: int, batch_size: int, device: torch.device) -> np.ndarray:
    """Class probabilities in the test view (scale 1, centre crop): (M, T, 2, H, W) -> float64 (M, K)."""
    model.eval()
    rows = []
    for batch in flow.split(batch_size):
        shown = augmentation.apply(batch.to(device).float(), [TEST_VIEW] * len(batch), crop)
        rows.append(torch.softmax(model(shown).logits.double(), dim=1).cpu().numpy())
    return np.concatenate(rows)


def _batches(clips: int, settings: Settings, generator: torch.Generator) -> Iterator[tuple[Tensor, list[View]]]:
    """One epoch in a random order: clip numbers (B,) and their views."""
    count = len(settings.views)
    if settings.every_view:
        order = torch.randperm(clips * count, generator=generator)
        clip, view = order // count, order % count
    else:
        clip = torch.randperm(clips, generator=generator)
        view = torch.randint(count, (clips,), generator=generator)
    for part in torch.arange(len(clip)).split(settings.batch_size):
        yield clip[part], [settings.views[number] for number in view[part].tolist()]


@torch.no_grad()
def _measures(loss: Tensor, output: Any, targets: Tensor) -> Tensor:
    """Loss, cross entropy, l1 norm of the mask and accuracy of a batch: float64 (4,)."""
    cross_entropy = functional.cross_entropy(output.logits, targets)
    l1 = torch.zeros_like(loss) if output.mask is None else mask_l1(output.mask)
    accuracy = (output.logits.argmax(dim=1) == targets).float().mean()
    return torch.stack([loss, cross_entropy, l1, accuracy]).double()
