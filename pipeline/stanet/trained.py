"""A trained STANet out of its file."""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from pipeline.errors import InputError
from pipeline.learning.checkpoint import Checkpoint
from pipeline.params import Interpolation, Model, Resize
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


def _check_sizes(checkpoint: Checkpoint) -> None:
    """Raise ValueError for a size that params.yaml may not have: an enormous network would be built before it fails."""
    sizes = (
        (Model, checkpoint.params["model"]),
        (Interpolation, {"frames": checkpoint.frames}),
        (Resize, {"size": checkpoint.size}),
    )
    for section, values in sizes:
        rules = TypeAdapter[Any](section).json_schema()["properties"]
        for name, value in values.items():
            largest = rules.get(name, {}).get("maximum")
            if largest is not None and (type(value) is not int or not 1 <= value <= largest):
                raise ValueError(f"{name}: {value!r:.80} is not among 1 to {largest}")
