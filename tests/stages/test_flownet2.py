"""The pipeline with FlowNet 2.0 as DVC runs it: full-size random weights, two subjects, small frames."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.flow.flownet2 import FlowNet2
from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("flownet2")  # one process makes what the tests share

CHANGES = {
    "subjects": ["sub01", "sub02"],
    "synthesize": {"subjects": 2, "clips": 4},  # the generator's least: a clip of each class
    "interpolation": {"frames": 4},
    "flow": {"method": "flownet2", "weights": "weights/random.ckpt"},
    "comparators": {"methods": []},  # which read this flow as they read any other
    "train": {"epochs": 1},
}
PAIRS = 4 * 3


@pytest.fixture(scope="module")
def study(clean, tmp_path_factory):
    """The study after `dvc repro`, and what was printed."""
    workspace = copy_of(clean, tmp_path_factory.mktemp("flownet2")).unrendered()
    shrink(workspace.root / "params.yaml", CHANGES)
    torch.manual_seed(0)
    weights = workspace.root / "weights/random.ckpt"
    torch.save({"state_dict": FlowNet2().state_dict()}, weights)
    yield workspace, workspace.dvc("repro")
    weights.unlink()  # pytest would keep 650 MB of each of the last three runs


def flow_of(workspace: Workspace) -> Path:
    return workspace.root / "data/synthetic/flow.h5"


def test_the_whole_pipeline_runs(study):
    workspace, output = study
    with (workspace.root / "weights/random.ckpt").open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    assert f"weights weights/random.ckpt, SHA-256 {digest}" in output
    with h5py.File(flow_of(workspace)) as file:
        assert file["flow"].shape == (4, 3, 2, 64, 64) and file["flow"].dtype == np.float16
        assert dict(file["flow"].attrs) == {
            "method": "flownet2",
            "align_corners": 1,
            "head_motion": "affine",
            "tf32": 0,
            "weights_sha256": digest,
        }
        fields = file["flow"][:]
    assert np.isfinite(fields).all() and all(field.std() > 0 for field in fields)
    model = torch.load(workspace.root / "models/synthetic/sub01.pt", weights_only=True)
    assert model["params"]["flow"]["weights_sha256"] == digest
    metrics = json.loads(workspace.read("results/synthetic/metrics.json"))
    assert set(metrics) == {"accuracy", "uf1", "uar"}
    assert not ran(workspace.dvc("repro"))


def test_after_kill_9_extraction_goes_on_and_ends_with_the_same_bytes(study):
    workspace, _ = study
    expected = flow_of(workspace).read_bytes()
    extract = ("repro", "--single-item", "--force", "extract_flow@synthetic")  # force: not from DVC's cache
    process = workspace.begin("dvc", *extract)
    state = workspace.root / ".resume/extract_flow@synthetic"
    while len(parts := sorted(state.glob("*/*.part"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    parts = sorted(state.glob("*/*.part"))
    assert 2 <= len(parts) < 4 and not flow_of(workspace).exists()
    parts[0].write_bytes(parts[0].read_bytes()[:1000])

    output = workspace.dvc(*extract)
    name = parts[0].relative_to(workspace.root)
    assert f"Warning: {name} is not what was written to it and is not used" in output
    assert f"going on after {(len(parts) - 1) * 3} of {PAIRS} pairs" in output
    assert flow_of(workspace).read_bytes() == expected
    assert [path.name for path in state.iterdir()] == ["lock"]
    assert not (workspace.root / ".partial").exists()
