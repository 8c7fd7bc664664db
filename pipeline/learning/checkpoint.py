"""The file of a trained network, `models/<dataset>/<fold>.pt`: how it is written and read.

It is a dictionary of plain values and tensors that `torch.load(path, weights_only=True)` opens without this project's
code. The file of a fold outside `held_out` has nothing but the classes and an empty state.
"""

import io
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, and what is needed to run it; fields in the order in which they stand in the file."""

    dataset: str
    held_out: str | list[str]
    """Subject whose clips the network has never seen, or a list of several."""
    classes: list[str]
    """K names, in the order of the network's outputs."""
    params: dict[str, Any]
    """Parameters of the training; of STANet `lambda`, `seed`, `model`, `train` as in params.yaml, and `flow`, the
    estimator."""
    frames: int
    """F, frames of a clip; it has F - 1 flow fields."""
    size: int
    """S, side of a frame in pixels."""
    versions: dict[str, str]
    """Versions of what it was trained with, by package."""
    device: str
    """Kind of device that it was trained on, `cpu` or `cuda`."""
    state_dict: dict[str, Tensor]
    """Parameters and buffers of the network, on the CPU."""

    @property
    def test_subjects(self) -> list[str]:
        """Subjects whose clips the network has never seen."""
        return [self.held_out] if isinstance(self.held_out, str) else self.held_out

    def to_bytes(self) -> bytes:
        """Content of its file: equal checkpoints give equal bytes."""
        return _stored({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The network in a file, its tensors on the CPU.

        Raises
        ------
        InputError
            There is no such file, something else is in it, it is damaged (PyTorch itself compares no checksum), a
            value in it is not finite, or it is that of a fold that was not wanted.
        """
        if not path.exists():
            raise InputError(
                f"{path}: expected a trained network, found no such file. Run `dvc repro`, which trains it."
            )
        if not path.is_file():
            raise _foreign(path, "something that is no file")
        try:
            stored = path.read_bytes()
            damaged = zipfile.ZipFile(io.BytesIO(stored)).testzip()
            if damaged is None:
                content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        except Exception as error:  # PyTorch raises whatever its unpickler stumbles over, with paragraphs of advice
            raise _foreign(path, f"a file that PyTorch does not open ({type(error).__name__})") from error
        if damaged is not None:
            raise _foreign(path, f"a damaged file: the checksum of {damaged} in it is wrong")
        if not isinstance(content, dict) or "state_dict" not in content:
            raise _foreign(path, "something else in it")
        if not content["state_dict"]:
            raise InputError(
                f"{path}: expected a trained network, found the empty file of a fold that was not in held_out when it "
                "was made. Run `dvc repro`."
            )
        wrong = {field.name for field in fields(cls)} ^ set(content)
        if wrong:
            raise _foreign(path, f"fields missing or unknown ({', '.join(sorted(map(str, wrong)))})")
        if fault := _fault(content):
            raise _foreign(path, fault)
        return cls(**content)


def unwanted(classes: list[str]) -> bytes:
    """Content of the file of a fold that is not wanted: nothing was trained."""
    return _stored({"classes": classes, "state_dict": {}})


def versions() -> dict[str, str]:
    """Versions of the packages that decide the bytes of a training, by package."""
    return {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}


def _fault(content: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a file that has all fields, or None."""
    classes, state = content["classes"], content["state_dict"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or not classes:
        return f"no list of classes ({classes!r:.80})"
    for name in ("frames", "size"):
        if type(content[name]) is not int or content[name] < 1:
            return f"{name} {content[name]!r:.80}"
    subjects = content["held_out"] if isinstance(content["held_out"], list) else [content["held_out"]]
    if not subjects or not all(isinstance(name, str) for name in subjects):
        return f"test subjects {content['held_out']!r:.80}"
    if not isinstance(content["params"], dict) or not isinstance(content["versions"], dict):
        return "parameters or versions that are no table"
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        return "something else than tensors"
    infinite = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    return f"values that are not finite in {', '.join(infinite[:3])}" if infinite else None


def _foreign(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: expected a network of this pipeline, found {found}. Where it is a file of the study, `dvc repro` "
        "makes it anew."
    )


def _stored(content: Mapping[str, object]) -> bytes:
    stream = io.BytesIO()  # a path would put the file's name into the bytes
    torch.save(content, stream)
    return stream.getvalue()
