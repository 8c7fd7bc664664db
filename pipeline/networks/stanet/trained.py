"""A trained STANet out of its file."""

from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.learning.checkpoint import Checkpoint
from pipeline.networks.stanet.network import STANet


class TrainedSTANet(NamedTuple):
    """A network ready to predict on the CPU, and what else stands in its file."""

    network: STANet
    checkpoint: Checkpoint
    path: Path


def load(path: Path) -> TrainedSTANet:
    """The network of a fold.

    Raises
    ------
    InputError
        There is no such file, something else is in it, or it is that of a fold that was not wanted
        (`Checkpoint.read`); its sizes are none that params.yaml may have; or what was learnt does not fit the network
        that its parameters describe.
    """
    checkpoint = Checkpoint.read(path)
    try:
        _check_sizes(checkpoint)
        network = STANet(len(checkpoint.classes), **checkpoint.params["model"])
        network.load_state_dict(checkpoint.state_dict)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())  # PyTorch's are of several lines
        raise InputError(
            f"{path}: expected a STANet of this version of the code, found one that does not fit ({found}). "
            "Run `dvc repro`, which trains what is out of date."
        ) from error
    return TrainedSTANet(network.eval(), checkpoint, path)


_LARGEST = {"pooling": 64, "regions": 64, "frames": 1000, "size": 2048}
"""What params.yaml allows at most."""


def _check_sizes(checkpoint: Checkpoint) -> None:
    """Raise ValueError for a size that params.yaml does not allow, before an enormous network is built."""
    found = {"frames": checkpoint.frames, "size": checkpoint.size} | checkpoint.params["model"]
    for name, largest in _LARGEST.items():
        value = found.get(name, 1)
        if type(value) is not int or not 1 <= value <= largest:
            raise ValueError(f"{name}: {value!r:.80} is not among 1 to {largest}")
