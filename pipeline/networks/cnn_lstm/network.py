"""CNN+LSTM: a CNN that looks at one state at a time, and an LSTM that follows its features through the five states.

Kim, Baddar, Ro 2016, doi:10.1145/2964284.2967247: "Micro-Expression Recognition with Expression-State Constrained
Spatio-Temporal Feature Representations". The CNN is trained first, by the objectives of `objectives`; then it stays as
it is, and the LSTM is trained on its features.

Shapes: N clips, S = 5 states, D values of a feature, K classes. Pictures are grey, 0 to 255.

Open or chosen here:

- Every frame is shown less the mean of the five of its clip. A face differs from others by far more than it moves: from
  frames as they are, the CNN did not learn to tell the states of the clips that it was trained on.
- Four convolutions and one full layer, with batch normalisation, of about the size of STANet.
- The LSTM reads the features of the five states in their order, and its last state tells the class.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.learning.initialisation import initialise
from pipeline.learning.objective import Logits
from pipeline.networks.cnn_lstm import Weights, objectives
from pipeline.networks.cnn_lstm.states import STATES

_WIDTHS = (16, 32, 64, 64)  # channels of the convolutions, each of which halves the picture


class StatesOutput(NamedTuple):
    """What the CNN gives for N clips."""

    features: Tensor
    """(N, S, D)."""
    class_logits: Tensor
    """(N, S, K), from each state by itself."""
    state_logits: Tensor
    """(N, S, S)."""

    @property
    def logits(self) -> Tensor:
        """(N, K), the mean over the states."""
        return self.class_logits.mean(dim=1)


class StatesCNN(nn.Module):
    """One feature for each frame, from which a linear layer tells the class and another one the state.

    Parameters
    ----------
    classes
        K, number of classes.
    size
        Side of the pictures in pixels, at least 16 after pooling.
    pooling
        A picture is averaged over pooling x pooling pixels first; 1 leaves it as it is.
    features
        D.
    seed
        Every parameter is drawn from (seed, its own name).
    """

    def __init__(self, classes: int, *, size: int, pooling: int, features: int, seed: int) -> None:
        super().__init__()
        self.pooling = pooling
        side = size // pooling
        layers: list[nn.Module] = [nn.BatchNorm2d(1, affine=False)]
        for inputs, outputs in zip((1, *_WIDTHS[:-1]), _WIDTHS, strict=True):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            side = (side + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.full = nn.Sequential(nn.Linear(_WIDTHS[-1] * side**2, features), nn.BatchNorm1d(features))
        self.tell_class = nn.Linear(features, classes)
        self.tell_state = nn.Linear(features, len(STATES))
        initialise(self, seed)

    def forward(self, pictures: Tensor) -> StatesOutput:
        """The states of clips: float32 (N, S, 1, size, size)."""
        features = self.features(pictures)
        return StatesOutput(features, self.tell_class(features), self.tell_state(features))

    def features(self, pictures: Tensor) -> Tensor:
        """float32 (N, S, 1, size, size) -> (N, S, D)."""
        frames = functional.avg_pool2d(pictures.flatten(0, 1), self.pooling)
        frames = torch.unflatten(frames, 0, pictures.shape[:2])
        frames = frames - frames.mean(dim=1, keepdim=True)  # what is the same in all states is who it is
        maps = self.convolutions(frames.flatten(0, 1))  # (N S, C, h, w)
        values: Tensor = self.full(maps.flatten(1))  # (N S, D)
        return torch.unflatten(values, 0, pictures.shape[:2])


class CNNLSTM(nn.Module):
    """A trained CNN that changes no more, and an LSTM that learns.

    Parameters
    ----------
    cnn
        Trained; its parameters are frozen here.
    classes
        K, number of classes.
    features
        D, of the CNN.
    hidden
        Values of the LSTM's state.
    seed
        Every parameter of the LSTM and its classifier is drawn from (seed, its own name).
    """

    def __init__(self, cnn: StatesCNN, classes: int, *, features: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)
        initialise(self, seed)
        self.cnn = cnn.requires_grad_(False)

    def forward(self, pictures: Tensor) -> Logits:
        """Classify clips by their states: float32 (N, S, 1, size, size)."""
        features = self.cnn.features(pictures)  # (N, S, D)
        states, _ = self.lstm(features)  # (N, S, hidden)
        return Logits(self.classifier(states[:, -1]))

    def train(self, mode: bool = True) -> Self:
        """Training mode for what learns; the CNN's batch normalisation stays as it was trained."""
        super().train(mode)
        self.cnn.eval()
        return self


def states_loss(output: StatesOutput, classes: Tensor, weights: Weights) -> Tensor:
    """The weighted sum of the five objectives, a scalar; classes int64 (N,)."""
    return (
        weights.class_error * objectives.class_error(output.class_logits, classes)
        + weights.class_spread * objectives.class_spread(output.features, classes)
        + weights.state_error * objectives.state_error(output.state_logits)
        + weights.state_spread * objectives.state_spread(output.features, classes)
        + weights.state_continuity * objectives.state_continuity(output.features)
    )
