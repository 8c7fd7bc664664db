"""RCN-A, layer by layer.

Xia, Peng, Khor, Feng, Zhao 2020, doi:10.1109/TIP.2020.3018222: a convolution, a recurrent block whose convolution is
used twice, and an attention map without parameters of its own, made of the classifier's weights. 55,747 parameters for
three classes.

Open or differing between sources, chosen here:

- Layers and training are those of the authors' program (MeNets.py and ModelTrain_Final.py, rcn_a, version 3). Its
  learning rate has a schedule that is never stepped, so that it is constant.
- Pictures are 0..1, as that program reads them.
- Where all values of an activation map are equal, the program divides by zero; here the map is 0.
"""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.flow.pictures import LARGEST, pictures
from pipeline.learning.initialisation import fan_in_bound, parameters_with_streams
from pipeline.learning.objective import Logits
from pipeline.learning.training import TrainingSettings
from pipeline.networks.rcn_a import Settings

SIZE = 60
"""Side of the pictures."""
MAPS = 64
REGIONS = 7
"""Regions per axis that the classifier and the attention see."""


class Recurrent(nn.Module):
    """A 3 x 3 convolution that is applied twice, each time to the input and what was made of it: shapes stay."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.forwards = nn.Sequential(nn.Conv2d(maps, maps, 1), nn.BatchNorm2d(maps), nn.ReLU())
        self.recurrent = nn.Sequential(nn.Conv2d(maps, maps, 3, padding=1), nn.BatchNorm2d(maps), nn.ReLU())

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps after two steps."""
        once = self.recurrent(maps + self.forwards(maps))
        twice: Tensor = self.recurrent(maps + once)
        return twice


class RCNA(nn.Module):
    """The network.

    Parameters
    ----------
    classes
        K.
    dropout
        Share of the values that is dropped in training after each pooling.
    seed
        Every parameter is drawn from (seed, its own name).
    """

    def __init__(self, classes: int, *, dropout: float, seed: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, MAPS, 5),  # (N, 64, 56, 56)
            nn.BatchNorm2d(MAPS),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 64, 28, 28)
            nn.Dropout(dropout),
        )
        self.block = nn.Sequential(Recurrent(MAPS), nn.MaxPool2d(2), nn.Dropout(dropout))  # (N, 64, 14, 14)
        self.pool = nn.AdaptiveAvgPool2d(REGIONS)  # (N, 64, 7, 7)
        self.classifier = nn.Linear(MAPS * REGIONS**2, classes)
        _initialise(self, seed)

    def forward(self, shown: Tensor) -> Logits:
        """Classify clips by their pictures: float32 (N, 3, 60, 60), 0..1."""
        maps = self.first(shown)
        attention = activation_map(self.pool(maps), self.classifier.weight)  # (N, 1, 7, 7)
        regions = self.pool(self.block(maps)) * attention  # (N, 64, 7, 7)
        return Logits(self.classifier(regions.flatten(1)))


def activation_map(maps: Tensor, weights: Tensor) -> Tensor:
    """Return where the classifier sees its classes: the mean over the classes of each one's map from 0 to 1.

    The map of a class is the mean over the channels of the maps, weighted by the classifier's weights; it is stretched
    from its smallest to its largest value. A map whose values are equal is 0.

    Parameters
    ----------
    maps
        (N, C, H, W).
    weights
        (K, C H W), of the classifier.

    Returns
    -------
    (N, 1, H, W).
    """
    per_class = torch.einsum("nchw,kchw->nkhw", maps, weights.unflatten(1, maps.shape[1:])) / maps.shape[1]
    risen = per_class - per_class.amin(dim=(2, 3), keepdim=True)
    highest = risen.amax(dim=(2, 3), keepdim=True)
    stretched = risen / torch.where(highest > 0, highest, 1)
    return stretched.mean(dim=1, keepdim=True)


def _initialise(network: nn.Module, seed: int) -> None:
    """Draw the initial values as the authors' program does, by the rule of the seeds."""
    for module, name, parameter, stream in parameters_with_streams(network, seed):
        if isinstance(module, nn.Conv2d) and name == "weight":
            nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu", generator=stream)
        elif isinstance(module, nn.Conv2d):
            bound = fan_in_bound(module)
            nn.init.uniform_(parameter, -bound, bound, generator=stream)
        elif isinstance(module, nn.Linear) and name == "weight":
            nn.init.normal_(parameter, 0, 0.01, generator=stream)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(parameter)


def prepare(clip: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the pictures of a clip: flow (2, S, S) in pixels -> float32 (3, 60, 60), 0..1."""
    return pictures(clip, SIZE) / np.float32(LARGEST)


def build(classes: int, settings: Settings, seed: int) -> RCNA:
    """Return the network for K classes with its initial values."""
    return RCNA(classes, dropout=settings.dropout, seed=seed)


def training(settings: Settings) -> TrainingSettings:
    """Return the settings of the training: stochastic gradient descent with momentum."""
    return TrainingSettings(
        epochs=settings.epochs, lr=settings.lr, momentum=settings.momentum, batch_size=settings.batch_size
    )
