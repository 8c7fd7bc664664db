import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.flow.flownet2.network import FlowNet2, FlowNetC, FlowNetFusion, FlowNetS, FlowNetSD
from pipeline.flow.flownet2.weights import identify, load_weights


def on_meta(kind: type) -> torch.nn.Module:
    with torch.device("meta"):
        return kind()


def zeros(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A state dict of full size whose file is small: one stored zero stands for all values of all tensors."""
    zero = torch.zeros(())
    return {name: zero.expand(value.shape) for name, value in network.state_dict().items()}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return zeros(on_meta(FlowNet2))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "weights.ckpt"


def refusal(path: Path) -> str:
    """The message with which a file is refused, which always says what to do."""
    with pytest.raises(InputError) as caught:
        load_weights(on_meta(FlowNet2), path)
    message = str(caught.value)
    for part in (
        str(path),
        "https://github.com/hmorimitsu/ptlflow/releases/tag/weights1",
        "flownet2-things-d63b53a7.ckpt",
        "for research only",
        "flow.method: dis",
        "flow.weights",
    ):
        assert part in message
    return message


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "layout",
    [
        lambda state: state,
        lambda state: {"epoch": 0, "state_dict": state, "best_EPE": 1e10},
        lambda state: {"state_dict": state, "hyper_parameters": {"div_flow": 20.0}, "optimizer_states": []},
    ],
)
def test_layouts(state, path, layout, zipped):
    state["flownetc.conv1.0.bias"] = torch.arange(64.0)
    torch.save(layout(state), path, _use_new_zipfile_serialization=zipped)
    network = on_meta(FlowNet2)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_weights(network, path) == digest
    assert not any(parameter.is_meta for parameter in network.parameters())
    assert torch.equal(network.flownetc.conv1[0].bias, torch.arange(64.0))
    found = identify(path)
    assert (found.network, found.tensors, found.parameters) == ("FlowNet2", 220, 162_518_834)
    assert found.sha256 == digest


def test_missing(path):
    assert "there is no such file" in refusal(path)


def test_folder(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_none(path):
    path.touch()
    assert "it is empty (weights/none stands for" in refusal(path)


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>", b"\n\n <html>", b"\xef\xbb\xbf<?xml"])
def test_web_page(path, start):
    path.write_bytes(start + b"<title>Release weights1</title>" * 100)
    assert "web page" in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.001, 0.1, 0.5, 0.99])
def test_truncated(state, path, zipped, kept):
    # Some stored values, as in a real file: the cut goes through names as well as through values.
    state["flownetc.conv6.0.bias"] = torch.randn(1024)
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "its end is missing" in refusal(path)


@pytest.mark.parametrize("content", [b"Not Found", bytes(1000), np.random.default_rng(0).bytes(5000)])
def test_something_else(path, content):
    path.write_bytes(content)
    assert "no file of PyTorch tensors" in refusal(path)


class Code:
    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self):
        return open, (self.target, "w")


@pytest.mark.parametrize(
    "write",
    [
        lambda content, path: torch.save(content, path),
        lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
        lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
    ],
)
def test_code_is_refused_and_not_run(path, tmp_path, write):
    target = tmp_path / "was run"
    write({"state_dict": {}, "epoch": Code(target)}, path)
    message = refusal(path)
    assert "it asks to run code" in message
    assert "open)" in message
    assert not target.exists()
    with pytest.raises(InputError):
        identify(path)
    assert not target.exists()


def test_code_in_a_newer_pickle_is_not_run_either(path, tmp_path):
    target = tmp_path / "was run"
    path.write_bytes(pickle.dumps(Code(target), protocol=5))
    refusal(path)
    assert not target.exists()


def test_altered_since_it_was_named(state, tmp_path):
    path = tmp_path / "flownet2-things-00000000.ckpt"
    torch.save({"state_dict": state}, path)
    head = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert f"SHA-256 begins with {head} where its name says 00000000" in refusal(path)
    load_weights(on_meta(FlowNet2), path.rename(tmp_path / f"flownet2-things-{head}.ckpt"))


class Stack(torch.nn.ModuleDict):
    def __init__(self, refinements: int) -> None:
        parts = [f"flownets_{number}" for number in range(1, refinements + 1)]
        super().__init__({"flownetc": FlowNetC()} | {part: FlowNetS() for part in parts})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("FlowNet2-C", FlowNetC),
        ("FlowNet2-S", FlowNetS),
        ("FlowNet2-SD", FlowNetSD),
        ("FlowNet2-CS", lambda: Stack(1)),
        ("FlowNet2-CSS", lambda: Stack(2)),
        ("unknown network", FlowNetFusion),
        ("unknown network", lambda: torch.nn.Linear(2, 3)),
    ],
)
def test_other_networks(path, name, kind):
    network = on_meta(kind)
    torch.save({"state_dict": zeros(network)}, path)
    assert identify(path).network == name
    count = len(network.state_dict())
    assert f"it holds {name} ({count} tensors) where FlowNet2 (220 tensors) is expected" in refusal(path)


def test_tensor_missing(state, path):
    del state["flownetfusion.predict_flow0.bias"]
    torch.save(state, path)
    assert "missing: flownetfusion.predict_flow0.bias; not expected: none" in refusal(path)


def test_tensor_too_many(state, path):
    torch.save(state | {"flownetc.conv7.0.weight": torch.zeros(1)}, path)
    assert "missing: none; not expected: flownetc.conv7.0.weight" in refusal(path)


def test_wrong_shape(state, path):
    torch.save(state | {"flownetc.conv1.0.weight": torch.zeros(64, 3, 5, 5)}, path)
    assert "flownetc.conv1.0.weight has the shape (64, 3, 5, 5) instead of (64, 3, 7, 7)" in refusal(path)


def test_wrong_dtype(state, path):
    torch.save(state | {"flownetc.conv1.0.bias": torch.zeros(64, dtype=torch.float16)}, path)
    assert "flownetc.conv1.0.bias is torch.float16" in refusal(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite(state, path, value):
    torch.save(state | {"flownetc.conv1.0.bias": torch.full((64,), value)}, path)
    assert "flownetc.conv1.0.bias holds values that are not finite" in refusal(path)


@pytest.mark.parametrize("content", [[], {}, torch.zeros(2), {"state_dict": 3}, {"state_dict": {"a": 1}}])
def test_no_state_dict(path, content):
    torch.save(content, path)
    assert "no state dict" in refusal(path)
