"""STSTNet, layer by layer.

Liong, Gan, See, Khor, Huang 2019, doi:10.1109/FG.2019.8756567, section II. Three parallel streams see the same three
pictures, u, v and strain, with 3, 5 and 8 filters. 1,683 parameters for three classes.

The streams have the same layers, and each of them treats every map by itself: ReLU, batch normalisation and pooling of
16 maps are those of 3 + 5 + 8 maps. So one convolution with 16 filters is the three streams, exactly.

Open or differing between sources, chosen here:

- The paper has a fully connected layer of 400 units; in the authors' PyTorch program the classifier reads the 400
  pooled values directly. The program is followed, as are its optimiser (Adam), its batches in the order of the clips
  and the last epoch.
- Pictures are 0..255, as that program reads them. Initial values are those of PyTorch, which it keeps.
"""

import numpy as np
from torch import Tensor, nn

from pipeline.flow.pictures import pictures
from pipeline.learning.initialisation import initialise_as_pytorch
from pipeline.learning.objective import Logits
from pipeline.learning.training import TrainingSettings
from pipeline.networks.ststnet import Settings

SIZE = 28
"""Side of the pictures."""
FILTERS = (3, 5, 8)
"""Of each stream."""


class STSTNet(nn.Module):
    """The network.

    Parameters
    ----------
    classes
        K.
    dropout
        Share of the pooled values that is dropped in training.
    seed
        Every parameter is drawn from (seed, its own name).
    """

    def __init__(self, classes: int, *, dropout: float, seed: int) -> None:
        super().__init__()
        maps = sum(FILTERS)
        self.streams = nn.Sequential(
            nn.Conv2d(3, maps, 3, padding=2),  # (N, 16, 30, 30)
            nn.ReLU(),
            nn.BatchNorm2d(maps),
            nn.MaxPool2d(3, stride=3, padding=1),  # (N, 16, 10, 10)
            nn.Dropout(dropout),
        )
        self.pool = nn.AvgPool2d(2)  # (N, 16, 5, 5)
        self.classifier = nn.Linear(maps * 5 * 5, classes)
        initialise_as_pytorch(self, seed)

    def forward(self, shown: Tensor) -> Logits:
        """Classify clips by their pictures: float32 (N, 3, 28, 28), 0..255."""
        return Logits(self.classifier(self.pool(self.streams(shown)).flatten(1)))


def prepare(clip: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the pictures of a clip: flow (2, S, S) in pixels -> float32 (3, 28, 28), 0..255."""
    return pictures(clip, SIZE)


def build(classes: int, settings: Settings, seed: int) -> STSTNet:
    """Return the network for K classes with its initial values."""
    return STSTNet(classes, dropout=settings.dropout, seed=seed)


def training(settings: Settings) -> TrainingSettings:
    """Return the settings of the training: Adam, batches in the order of the clips."""
    return TrainingSettings(epochs=settings.epochs, lr=settings.lr, batch_size=settings.batch_size, shuffle=False)
