"""Dual-Inception, layer by layer.

Zhou, Mao, Xue 2019, doi:10.1109/FG.2019.8756579: u and v go through two inception blocks each; two full layers classify
what both give. 6.45 million parameters for three classes.

Open or differing between sources, chosen here:

- Layers, Adam, 501 epochs and batches of 64 are those of the program of Off-TANet (models/dual_inception.py). Three of
  the four paths of a block end with a ReLU, the 1 x 1 path does not, as there.
- u and v are in pixels of the 28 x 28 grid, with their sign, as in that program. It estimates flow between frames of
  28 x 28; here the flow of the study is averaged to that size.
- The program does not say whether batches are shuffled. They are.
- Initial values are those of PyTorch.
"""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.flow.pictures import resized
from pipeline.learning.initialisation import initialise_as_pytorch
from pipeline.learning.objective import Logits
from pipeline.learning.training import TrainingSettings
from pipeline.networks.dual_inception import Settings

SIZE = 28
"""Side of the fields."""
WIDTHS = (6, 16)
"""Maps that each path of the first and of the second block gives."""


class Inception(nn.Module):
    """Four paths side by side, then pooling: (N, inputs, H, W) -> (N, 4 outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.five = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 5, padding=2), nn.ReLU()
        )
        self.three = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, outputs, 1), nn.ReLU())
        self.one = nn.Conv2d(inputs, outputs, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of the four paths, pooled."""
        paths = (self.five, self.three, self.pooled, self.one)
        joined: Tensor = self.pool(torch.cat([path(maps) for path in paths], dim=1))
        return joined


class DualInception(nn.Module):
    """The network.

    Parameters
    ----------
    classes
        K.
    seed
        Every parameter is drawn from (seed, its own name).
    """

    def __init__(self, classes: int, *, seed: int) -> None:
        super().__init__()
        self.horizontal, self.vertical = _stream(), _stream()
        self.full = nn.Sequential(nn.Linear(2 * 4 * WIDTHS[1] * 7 * 7, 1024), nn.ReLU())
        self.classifier = nn.Linear(1024, classes)
        initialise_as_pytorch(self, seed)

    def forward(self, fields: Tensor) -> Logits:
        """Classify clips by their flow: float32 (N, 2, 28, 28), u right, v down."""
        u, v = fields[:, :1], fields[:, 1:]
        streams = torch.cat([self.horizontal(u).flatten(1), self.vertical(v).flatten(1)], dim=1)  # (N, 6272)
        return Logits(self.classifier(self.full(streams)))


def _stream() -> nn.Sequential:
    first, second = WIDTHS
    return nn.Sequential(
        Inception(1, first),  # (N, 24, 14, 14)
        Inception(4 * first, second),  # (N, 64, 7, 7)
    )


def prepare(clip: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the small flow field of a clip: flow (2, S, S) in pixels -> float32 (2, 28, 28) in pixels of its own."""
    return resized(clip, SIZE)


def build(classes: int, settings: Settings, seed: int) -> DualInception:
    """Return the network for K classes with its initial values."""
    return DualInception(classes, seed=seed)


def training(settings: Settings) -> TrainingSettings:
    """Return the settings of the training: Adam."""
    return TrainingSettings(epochs=settings.epochs, lr=settings.lr, batch_size=settings.batch_size)
