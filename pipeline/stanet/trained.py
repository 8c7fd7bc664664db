"""A trained STANet out of its file."""

from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.learning.checkpoint import Checkpoint
from pipeline.stanet.network import STANet


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
        (`Checkpoint.read`); or what was learnt does not fit the network that its parameters describe.
    """
    checkpoint = Checkpoint.read(path)
    try:
        network = STANet(len(checkpoint.classes), **checkpoint.params["model"])
        network.load_state_dict(checkpoint.state_dict)
    except (KeyError, TypeError, RuntimeError) as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())  # PyTorch's are of several lines
        raise InputError(
            f"{path}: expected a STANet of this version of the code, found one that does not fit ({found}). "
            "Run `dvc repro`, which trains what is out of date."
        ) from error
    return TrainedSTANet(network.eval(), checkpoint, path)
