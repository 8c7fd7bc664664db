"""What a network is trained for: the loss that its training minimises, and the measures that its curve shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor
from torch.nn import functional


class Output(Protocol):
    """What every network gives for N clips, whatever else it gives."""

    @property
    def logits(self) -> Tensor:
        """(N, K), a column per class."""


class Logits(NamedTuple):
    """The output of a network that gives nothing else for N clips."""

    logits: Tensor
    """(N, K)."""


OutputT = TypeVar("OutputT", bound=Output)


@dataclass(frozen=True)
class Objective(Generic[OutputT]):
    """A loss and named measures; each takes the network's output for N clips and their classes, int64 (N,).

    Each gives a scalar that is a mean over the clips, so that batches can be averaged by their number of clips.
    """

    loss: Callable[[OutputT, Tensor], Tensor]
    """What is minimised."""
    measures: Mapping[str, Callable[[OutputT, Tensor], Tensor]]
    """What is only written down, by column of the curve."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the curve of a training."""
        return ("epoch", "loss", *self.measures)


def cross_entropy(output: Output, classes: Tensor) -> Tensor:
    """Mean cross entropy in float32, a measure."""
    return functional.cross_entropy(output.logits.float(), classes)


def accuracy(output: Output, classes: Tensor) -> Tensor:
    """Share of clips whose largest logit is that of their class, a measure."""
    return (output.logits.argmax(dim=1) == classes).float().mean()
