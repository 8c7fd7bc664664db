"""The file of a network: plain values that PyTorch alone can read, and one clear error for anything else."""

import re

import pytest
import torch

from pipeline.errors import InputError
from pipeline.learning import checkpoint
from pipeline.learning.checkpoint import Checkpoint


def example(**changes):
    values = dict(
        dataset="casme2",
        held_out="sub01",
        classes=["negative", "positive"],
        params={"lambda": 1e-8, "train": {"augmentation": {"scales": (0.9, 1.0)}}},
        frames=20,
        size=192,
        versions={"torch": "2"},
        device="cpu",
        state_dict={"weight": torch.arange(3.0)},
    )
    return Checkpoint(**values | changes)


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "sub01.pt").write_bytes(example().to_bytes())
    found = Checkpoint.read(tmp_path / "sub01.pt")
    assert torch.equal(found.state_dict["weight"], torch.arange(3.0))
    state = {"state_dict": found.state_dict}
    assert found == example(**state)


def test_the_file_can_be_read_by_pytorch_alone(tmp_path):
    (tmp_path / "sub01.pt").write_bytes(example().to_bytes())
    content = torch.load(tmp_path / "sub01.pt", weights_only=True)
    assert list(content) == [
        *("dataset", "held_out", "classes", "params", "frames", "size", "versions", "device", "state_dict")
    ]
    assert content["params"]["lambda"] == 1e-8 and content["held_out"] == "sub01"


@pytest.mark.parametrize(("held_out", "subjects"), [("sub01", ["sub01"]), (["sub01", "sub02"], ["sub01", "sub02"])])
def test_the_test_subjects_are_a_list_whatever_their_number(tmp_path, held_out, subjects):
    (tmp_path / "fold.pt").write_bytes(example(held_out=held_out).to_bytes())
    assert Checkpoint.read(tmp_path / "fold.pt").test_subjects == subjects


def test_equal_checkpoints_give_equal_bytes():
    assert example().to_bytes() == example().to_bytes()
    assert example().to_bytes() != example(state_dict={"weight": torch.arange(3.0) + 1}).to_bytes()


def test_a_missing_file_is_one_clear_error(tmp_path):
    path = tmp_path / "sub01.pt"
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: expected a trained network, found no.*dvc repro"):
        Checkpoint.read(path)


def test_the_file_of_a_fold_that_was_not_wanted_is_called_so(tmp_path):
    path = tmp_path / "sub01.pt"
    path.write_bytes(checkpoint.unwanted(["negative", "positive"]))
    assert torch.load(path, weights_only=True) == {"classes": ["negative", "positive"], "state_dict": {}}
    with pytest.raises(InputError, match=r"sub01\.pt: .*the empty file of a fold that was not in held_out"):
        Checkpoint.read(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"no network"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(example().to_bytes()[:700]),
        lambda path: path.mkdir(),
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: torch.save({"weight": torch.zeros(3)}, path),
        lambda path: torch.save({"state_dict": {"weight": torch.zeros(3)}}, path),
        lambda path: torch.save(example(), path),  # a class of the writer's: not opened with `weights_only`
    ],
)
def test_a_file_that_is_none_of_ours_is_one_clear_error(write, tmp_path):
    path = tmp_path / "sub01.pt"
    write(path)
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: expected a network of this pipeline.*dvc repro"):
        Checkpoint.read(path)


def test_a_flipped_bit_in_the_weights_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "sub01.pt"
    weights = torch.arange(1000.0)
    content = bytearray(example(state_dict={"weight": weights}).to_bytes())
    place = content.index(weights.numpy().tobytes()) + 2001
    content[place] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)["state_dict"]["weight"], weights)  # PyTorch sees nothing
    with pytest.raises(InputError, match=r"sub01\.pt: .* a damaged file: the checksum of .*data/0 in it is wrong"):
        Checkpoint.read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    path = tmp_path / "sub01.pt"
    path.write_bytes(example(state_dict={"weight": torch.tensor([1.0, value])}).to_bytes())
    with pytest.raises(InputError, match=r"sub01\.pt: .* values that are not finite in weight"):
        Checkpoint.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        *({"frames": -1}, {"size": 2.5}, {"classes": "ab"}, {"classes": []}, {"params": 1}, {"state_dict": [1]}),
        *({"held_out": []}, {"held_out": 1}, {"held_out": ["sub01", 2]}),
    ],
)
def test_values_of_another_kind_are_refused(tmp_path, changes):
    path = tmp_path / "sub01.pt"
    path.write_bytes(example(**changes).to_bytes())
    with pytest.raises(InputError, match=r"sub01\.pt: expected a network of this pipeline"):
        Checkpoint.read(path)
