"""OFF-ApexNet, layer by layer.

Gan, Liong, Yau, Huang, Tan 2019, doi:10.1016/j.image.2019.02.005: u and v go through a stream of two convolutions each;
three full layers classify what both give. 2.66 million parameters for three classes.

Open or differing between sources, chosen here:

- No ReLU follows a convolution, as in the program of Off-TANet (models/off_apexnet.py). Dropout, Adam, 3,000 epochs and
  batches of 64 are from there as well.
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
from pipeline.networks.off_apexnet import Settings

SIZE = 28
"""Side of the fields."""


class OFFApexNet(nn.Module):
    """The network.

    Parameters
    ----------
    classes
        K.
    dropout
        Share of the values of a full layer that is dropped in training.
    seed
        Every parameter is drawn from (seed, its own name).
    """

    def __init__(self, classes: int, *, dropout: float, seed: int) -> None:
        super().__init__()
        self.horizontal, self.vertical = _stream(), _stream()
        self.full = nn.Sequential(
            nn.Linear(2 * 16 * 7 * 7, 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(1024, classes)
        initialise_as_pytorch(self, seed)

    def forward(self, fields: Tensor) -> Logits:
        """Classify clips by their flow: float32 (N, 2, 28, 28), u right, v down."""
        u, v = fields[:, :1], fields[:, 1:]
        streams = torch.cat([self.horizontal(u).flatten(1), self.vertical(v).flatten(1)], dim=1)  # (N, 1568)
        return Logits(self.classifier(self.full(streams)))


def _stream() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),  # (N, 6, 28, 28)
        nn.MaxPool2d(2),  # (N, 6, 14, 14)
        nn.Conv2d(6, 16, 5, padding=2),  # (N, 16, 14, 14)
        nn.MaxPool2d(2),  # (N, 16, 7, 7)
    )


def prepare(clip: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the small flow field of a clip: flow (2, S, S) in pixels -> float32 (2, 28, 28) in pixels of its own."""
    return resized(clip, SIZE)


def build(classes: int, settings: Settings, seed: int) -> OFFApexNet:
    """Return the network for K classes with its initial values."""
    return OFFApexNet(classes, dropout=settings.dropout, seed=seed)


def training(settings: Settings) -> TrainingSettings:
    """Return the settings of the training: Adam."""
    return TrainingSettings(epochs=settings.epochs, lr=settings.lr, batch_size=settings.batch_size)
