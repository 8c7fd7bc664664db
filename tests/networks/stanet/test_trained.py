"""A network out of its file is the network that was put into it."""

import dataclasses

import pytest
import torch

from pipeline.errors import InputError
from pipeline.learning.checkpoint import Checkpoint
from pipeline.networks.stanet import trained
from pipeline.networks.stanet.network import STANet

SETTINGS = {"pooling": 1, "readout": "last"}


def checkpoint(network):
    return Checkpoint(
        dataset="casme2",
        held_out="sub01",
        classes=list("abc"),
        params={"model": SETTINGS},
        frames=4,
        size=64,
        versions={},
        device="cpu",
        state_dict=network.state_dict(),
    )


def test_a_saved_network_predicts_what_it_predicted(tmp_path):
    network = STANet(3, **SETTINGS, seed=7)
    network(torch.randn(2, 3, 2, 64, 64))  # batch normalisation has seen something
    path = tmp_path / "sub01.pt"
    path.write_bytes(checkpoint(network).to_bytes())
    loaded = trained.load(path)
    flow = torch.randn(1, 3, 2, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(loaded.network(flow).logits, network.eval()(flow).logits)
    assert loaded.path == path and loaded.checkpoint.held_out == "sub01" and loaded.checkpoint.classes == list("abc")


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": list("abcd")},
        {"params": {"model": SETTINGS | {"temporal_attention": False}}},
        {"params": {"model": SETTINGS | {"of_another_version": 1}}},
        {"params": {}},
        {"params": {"model": SETTINGS | {"regions": 10**9}}},
        {"params": {"model": SETTINGS | {"pooling": -1}}},
        {"size": 10**9},
        {"frames": 10**9},
    ],
)
def test_a_network_that_does_not_fit_its_parameters_is_one_clear_error(changes, tmp_path):
    path = tmp_path / "sub01.pt"
    path.write_bytes(dataclasses.replace(checkpoint(STANet(3, **SETTINGS)), **changes).to_bytes())
    with pytest.raises(InputError, match=r"sub01\.pt: expected a STANet of this version.*dvc repro"):
        trained.load(path)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"sub01\.pt: expected a trained network, found no such file"):
        trained.load(tmp_path / "sub01.pt")
