"""Files of FlowNet 2.0 weights: reading and naming them.

The published weights may be used for research only and are not part of this project: the user downloads
them. Both published layouts are read, `FlowNet2_checkpoint.pth.tar` and `flownet2-things-d63b53a7.ckpt` (the
tensors stand under "state_dict" in both), and so is a bare state dict.
"""

import hashlib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import InputError

HELP = """
FlowNet 2.0 needs the published weights:
  1. download flownet2-things-d63b53a7.ckpt (about 650 MB) from
     https://github.com/hmorimitsu/ptlflow/releases/tag/weights1
  2. name the file in params.yaml: flow.weights
Licence: for research only; commercial use needs the consent of FlowNet 2.0's authors.
Without weights: set flow.method: dis in params.yaml."""

# The modules at the top of a state dict tell the networks of the family apart; the first match counts.
NETWORKS = {
    "FlowNet2": {"flownetc", "flownets_1", "flownets_2", "flownets_d", "flownetfusion"},
    "FlowNet2-CSS": {"flownetc", "flownets_1", "flownets_2"},
    "FlowNet2-CS": {"flownetc", "flownets_1"},
    "FlowNet2-C": {"conv_redir", "conv3_1", "predict_flow6"},
    "FlowNet2-SD": {"conv0", "inter_conv5", "predict_flow6"},
    "FlowNet2-S": {"conv1", "conv3_1", "predict_flow6"},
}
UNKNOWN = "unknown network"


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds. `network` is a key of `NETWORKS` or `UNKNOWN`."""

    network: str
    tensors: int
    parameters: int
    sha256: str


def identify(path: Path) -> WeightsFile:
    """Say which network's weights a file holds. Raises InputError when it cannot be read safely."""
    state, sha256 = _read(path)
    return WeightsFile(_network(state), len(state), sum(tensor.numel() for tensor in state.values()), sha256)


def load_weights(network: nn.Module, path: Path) -> str:
    """Give a FlowNet 2.0, perhaps on the "meta" device, the weights of a file; returns the file's SHA-256.

    Names, shapes and dtypes must be the network's own, and all values finite. Raises InputError otherwise.
    """
    state, sha256 = _read(path)
    expected = network.state_dict()
    if state.keys() != expected.keys():
        missing, surplus = expected.keys() - state.keys(), state.keys() - expected.keys()
        raise _refusal(
            path,
            f"it holds {_network(state)} ({len(state)} tensors) where FlowNet2 ({len(expected)} tensors) is "
            f"expected; missing: {_some(missing)}; not expected: {_some(surplus)}",
        )
    for name, tensor in state.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(wanted.shape)}"
            raise _refusal(path, f"{name} has the shape {shapes}")
        if tensor.dtype != wanted.dtype or tensor.layout != wanted.layout:
            raise _refusal(path, f"{name} is {tensor.dtype}, {tensor.layout} instead of {wanted.dtype}")
        if not tensor.isfinite().all():
            raise _refusal(path, f"{name} holds values that are not finite")
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    network.load_state_dict(state, strict=True, assign=True)  # a copy would hold 650 MB twice
    return sha256


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict of a file, on the CPU, and the file's SHA-256."""
    if not path.is_file():
        raise _refusal(path, "it is a folder" if path.is_dir() else "there is no such file")
    size = path.stat().st_size
    if size == 0:
        raise _refusal(path, "it is empty (weights/none stands for weights that are yet to be downloaded)")
    with path.open("rb") as file:
        if file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise _refusal(path, "it is a web page (HTML), saved in place of the file that the page links to")
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    # The published file carries the head of its SHA-256 in its name.
    head = re.fullmatch(r"flownet2-\w+-([0-9a-f]{8})\.ckpt", path.name)
    if head and not sha256.startswith(head[1]):
        raise _refusal(
            path,
            f"its SHA-256 begins with {sha256[:8]} where its name says {head[1]} ({size:,} bytes): the "
            "download was cut off, or the file was changed",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle versions; what matters is raised
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for damaged files; none says what to do
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            found = f"it asks to run code ({code[1]}), which weights never need; nothing was run. Delete it"
        else:
            found = f"it is no file of PyTorch tensors, or its end is missing ({size:,} bytes)"
        raise _refusal(path, found) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise _refusal(path, "it holds no state dict, that is, no tensors by name")
    return {str(name): tensor for name, tensor in state.items()}, sha256


def _network(names: Iterable[str]) -> str:
    modules = {name.split(".")[0] for name in names}
    return next((network for network, wanted in NETWORKS.items() if wanted <= modules), UNKNOWN)


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "none"


def _refusal(path: Path, found: str) -> InputError:
    return InputError(f"The FlowNet 2.0 weights {path} cannot be used: {found}.\n{HELP}")
