"""The pipeline as DVC runs it, on a tiny synthetic study."""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import TINY, shrink

SUBJECTS = TINY["subjects"]
CLASSES = ["disgust", "happiness", "repression", "surprise"]
TRAIN = {f"train@synthetic-{subject}" for subject in SUBJECTS}
METHODS = TINY["comparators"]["methods"]
GATHERED = {f"comparator_inputs@synthetic-{method}" for method in METHODS}
OF_METHODS = GATHERED | {f"{stage}@synthetic-{method}" for stage in ("describe", "classify") for method in METHODS}
ALL = {"synthesize", *TRAIN, *OF_METHODS} | {
    f"{stage}@synthetic"
    for stage in (
        *("index", "interpolate", "resize", "stabilise", "extract_flow", "key_flow", "describe_inputs"),
        *("gather", "task"),
        *("aggregate", "largest_class", "compare", "report"),
    )
}
PREPARED = {
    f"{stage}@synthetic" for stage in ("index", "extract_flow", "key_flow", "describe_inputs", "gather", "task")
}
SCORED = {"aggregate@synthetic", "compare@synthetic", "report@synthetic"}


@pytest.fixture
def workspace(workspace) -> Workspace:
    return workspace.unrendered()


def test_the_files_are_those_of_the_contract(finished):
    data, results = finished.root / "data/synthetic", finished.root / "results/synthetic"
    assert (finished.root / "data/README.md").is_file()  # of git, beside what the stages write
    clips = pd.read_csv(data / "clips.csv")
    columns = ["clip", "subject", "label", "onset", "apex", "offset", "n_frames", "frames"]
    assert list(clips.columns) == [*columns, "database"] and set(clips["database"]) == {"synthetic"}
    pd.testing.assert_frame_equal(pd.read_csv(data / "recordings.csv"), clips[columns])
    manifest = json.loads((data / "parts/synthetic.json").read_text())
    for kind, file in (
        *(("recordings", "recordings.csv"), ("frames", "stabilised.h5")),
        *(("flow", "flow.h5"), ("head_motion", "head_motion.h5")),
    ):
        digest = hashlib.sha256((data / file).read_bytes()).hexdigest()
        assert manifest[kind] == {"path": f"data/synthetic/{file}", "sha256": digest}
    assert len(clips) == 9 and list(clips["clip"]) == sorted(clips["clip"])
    assert (clips["n_frames"] == clips["offset"] - clips["onset"] + 1).all()
    assert all((finished.root / "data/raw/synthetic" / folder).is_dir() for folder in clips["frames"])
    with h5py.File(data / "interpolated.h5") as file:
        for clip in clips["clip"]:
            assert file[clip].shape == (6, 80, 72, 3) and file[clip].dtype == np.uint8
    with h5py.File(data / "resized.h5") as file:
        assert file["frames"].shape == (9, 6, 64, 64, 3) and file["frames"].dtype == np.uint8
        assert list(file["clip"].asstr()[:]) == list(clips["clip"])
    with h5py.File(data / "head_motion.h5") as file:
        assert file["head_motion"].shape == (9, 6, 2, 3) and file["head_motion"].attrs["fit"] == "affine"
        assert not np.array_equal(file["head_motion"][:, -1], file["head_motion"][:, 0])
    with h5py.File(data / "flow.h5") as file:
        assert file["flow"].shape == (9, 5, 2, 64, 64) and file["flow"].dtype == np.float16
        assert list(file["clip"].asstr()[:]) == list(clips["clip"])
        assert file["flow"].attrs["method"] == "dis" and file["flow"].attrs["head_motion"] == "affine"
    columns = ["clip", "subject", "label", "predicted", *(f"p_{name}" for name in CLASSES)]
    predictions = pd.read_csv(results / "predictions.csv")
    assert list(predictions.columns) == columns
    assert list(predictions["clip"]) == list(clips["clip"])
    assert list(predictions["label"]) == list(clips["label"])
    probabilities = predictions[columns[4:]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert list(predictions["predicted"]) == [CLASSES[number] for number in probabilities.argmax(axis=1)]
    for subject in SUBJECTS:
        fold = pd.read_csv(results / f"folds/{subject}.csv")
        assert list(fold.columns) == columns and set(fold["subject"]) == {subject}
        curve = pd.read_csv(results / f"curves/{subject}.csv")
        assert list(curve.columns) == ["epoch", "loss", "cross_entropy", "mask_l1", "accuracy"]
        assert list(curve["epoch"]) == [1, 2]
        model = torch.load(finished.root / f"models/synthetic/{subject}.pt", weights_only=True)
        assert model["classes"] == CLASSES and model["device"] in ("cpu", "cuda") and model["state_dict"]
    metrics = json.loads((results / "metrics.json").read_text())
    assert list(metrics) == ["accuracy", "uf1", "uar"]
    assert metrics["accuracy"] == (predictions["label"] == predictions["predicted"]).mean()
    confusion = pd.read_csv(results / "confusion.csv")
    assert list(confusion.columns) == ["actual", "predicted"] and len(confusion) == 9
    assert list(pd.read_csv(results / "per_subject.csv").columns) == ["subject", "clips", "correct", "accuracy"]
    table = pd.read_csv(results / "table1.csv")
    assert list(table.columns[:6]) == ["method", "accuracy", "uf1", "uar", "correct", "clips"]
    assert list(table["method"]) == ["stanet", *METHODS, "largest_class"]
    for method in (*METHODS, "largest_class"):
        predicted = pd.read_csv(results / f"comparators/{method}.csv")
        assert list(predicted.columns) == columns[:4] and list(predicted["clip"]) == list(clips["clip"])
    for method in METHODS:
        with h5py.File(data / f"features/{method}.h5") as file:
            assert file["features"].dtype == np.float32 and list(file["clip"].asstr()[:]) == list(clips["clip"])
    assert (finished.root / "data/raw/synthetic/truth.h5").exists()
    assert (finished.root / "data/raw/synthetic/contact_sheet.png").exists()


def test_nothing_derived_is_in_git_and_nothing_is_left_behind(finished):
    tracked = finished.run("git", "ls-files").splitlines()
    assert [name for name in tracked if name.startswith(("data/", "models/", "results/"))] == ["data/README.md"]
    assert "dvc.lock" in tracked
    assert finished.run("git", "status", "--porcelain") == ""
    assert not (finished.root / ".partial").exists()


def test_a_second_repro_runs_nothing(workspace):
    output = workspace.dvc("repro")
    assert "Data and pipelines are up to date." in output and not ran(output)


def test_two_datasets_of_one_database_compute_its_flow_once(workspace):
    workspace.edit("dataset: synthetic ", "dataset: synthetic-3 ")
    workspace.edit("classes: own ", "classes: three ")
    of_dataset = {f"{stage}@synthetic-3" for stage in ("task", "aggregate", "largest_class", "compare", "report")}
    trained = {f"train@synthetic-3-{subject}" for subject in SUBJECTS}
    classified = {f"classify@synthetic-3-{method}" for method in METHODS}
    gathered = {"gather@synthetic"} | GATHERED
    assert ran(workspace.dvc("repro")) == gathered | of_dataset | trained | classified
    clips = pd.read_csv(workspace.root / "data/synthetic-3/clips.csv")
    own = pd.read_csv(workspace.root / "data/synthetic/clips.csv")
    three = {"disgust": "negative", "repression": "negative", "happiness": "positive", "surprise": "surprise"}
    assert list(clips["clip"]) == list(own["clip"]) and list(clips["label"]) == list(own["label"].map(three))
    predictions = pd.read_csv(workspace.root / "results/synthetic-3/predictions.csv")
    assert list(predictions.columns[4:]) == ["p_negative", "p_positive", "p_surprise"]
    workspace.run("git", "checkout", "--quiet", "params.yaml")  # and back: nothing runs
    assert not ran(workspace.dvc("repro"))


def test_flow_that_was_kept_under_other_settings_is_not_used(workspace):
    kept = workspace.root / ".resume/extract_flow@synthetic/another key/000000.part"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"flow of other frames")
    before = workspace.read("data/synthetic/flow.h5")
    assert "had other frames, settings or code: it is not used" in workspace.stage("extract_flow", "synthetic")
    assert workspace.read("data/synthetic/flow.h5") == before and not kept.exists()


def test_two_clones_give_the_same_bytes(clean, finished, tmp_path):
    other = copy_of(clean, tmp_path)
    # Interpreters of their own, in which Python's hashes have other seeds.
    assert ran(other.run(sys.executable, "-m", "dvc", "repro")) == ALL
    assert other.outputs() == finished.outputs()


def test_lambda_reruns_only_training_and_going_back_reruns_nothing(workspace):
    before = workspace.outputs()
    assert ran(workspace.dvc("exp", "run", "-S", "lambda=1e-7")) == TRAIN | SCORED
    assert workspace.read("results/synthetic/predictions.csv") != before["results/synthetic/predictions.csv"]
    difference = workspace.dvc("metrics", "diff", "--all")
    assert all(name in difference for name in ("accuracy", "uf1", "uar", "Change"))
    assert not ran(workspace.dvc("exp", "run", "-S", "lambda=1e-8"))
    assert workspace.outputs() == before


@pytest.mark.parametrize(
    "changes",
    [{"model": {"spatial_attention": False}}, {"model": {"temporal_attention": False}}, {"lambda": 0}],
)
def test_what_is_left_out_is_not_in_the_network(workspace, changes):
    shrink(workspace.root / "params.yaml", changes)
    workspace.stage("train", "stanet", "sub01")
    state = torch.load(workspace.root / "models/synthetic/sub01.pt", weights_only=True)["state_dict"]
    for branch, key in (("spatial.attention.", "spatial_attention"), ("temporal.branch.", "temporal_attention")):
        assert any(name.startswith(branch) for name in state) == (key not in changes.get("model", {}))


def test_an_ablation_is_an_experiment(workspace):
    changes = "lambda=0", "model.spatial_attention=false", "model.temporal_attention=false"
    output = workspace.dvc("exp", "run", *(word for change in changes for word in ("-S", change)))
    assert ran(output) == TRAIN | SCORED
    state = torch.load(workspace.root / "models/synthetic/sub01.pt", weights_only=True)["state_dict"]
    assert not any(name.startswith(("spatial.attention.", "temporal.branch.")) for name in state)


def test_a_misspelt_parameter_is_refused_by_dvc(workspace):
    assert "lamda" in workspace.dvc("exp", "run", "-S", "lamda=1", fails=True)


def test_runtime_reruns_nothing(workspace):
    workspace.edit("progress: true", "progress: false")
    assert not ran(workspace.dvc("repro"))


def test_an_unknown_method_lists_the_known_ones(workspace):
    workspace.edit("method: dis ", "method: diss ")
    output = workspace.dvc("repro", fails=True)
    assert "flow.method" in output and "dis, farneback" in output and "'diss'" in output


def test_another_method_reruns_flow_and_training(workspace):
    workspace.edit("method: dis ", "method: farneback ")
    # Methods that read frames describe nothing again.
    read = {f"{stage}@synthetic-fdm" for stage in ("describe", "comparator_inputs", "classify")}
    assert ran(workspace.dvc("repro")) == PREPARED | TRAIN | SCORED | read


def test_a_block_of_one_method_reruns_that_method_and_the_comparison(workspace):
    output = workspace.dvc("exp", "run", "-S", "comparators.fdm.blocks=[2,4,4]")
    of_fdm = {f"{stage}@synthetic-fdm" for stage in ("describe", "comparator_inputs", "classify")}
    assert ran(output) == of_fdm | {"compare@synthetic", "report@synthetic"}


def test_without_methods_the_largest_class_is_compared(workspace):
    assert ran(workspace.dvc("exp", "run", "-S", "comparators.methods=[]")) == {"compare@synthetic", "report@synthetic"}
    table = pd.read_csv(workspace.root / "results/synthetic/table1.csv")
    assert list(table["method"]) == ["stanet", "largest_class"]


def test_a_change_of_the_networks_code_does_not_rerun_dis(workspace):
    for module in ("flownet2/network", "flownet2/weights", "farneback/estimator"):
        with (workspace.root / f"pipeline/flow/{module}.py").open("a") as stream:
            stream.write("# changed\n")
    assert not ran(workspace.dvc("repro"))


def test_flownet2_without_weights_says_where_they_are(workspace):
    workspace.edit("method: dis ", "method: flownet2 ")
    output = workspace.stage("extract_flow", "synthetic", fails=True)
    assert "weights/none cannot be used: it is empty" in output and "Traceback" not in output
    assert "https://github.com/hmorimitsu/ptlflow/releases/tag/weights1" in output and "research only" in output


def test_a_subject_list_that_is_wrong_comes_with_the_right_line(workspace):
    shrink(workspace.root / "params.yaml", {"subjects": ["sub01", "sub02", "sub07"]})
    output = workspace.dvc("repro", fails=True)
    assert "in params.yaml: sub01, sub02, sub07" in output
    assert 'subjects: ["sub01", "sub02", "sub03"]' in output


def test_some_folds_can_be_trained_alone_and_the_rest_later(workspace):
    before = workspace.outputs()
    workspace.edit("held_out: all", "held_out: [sub02]")
    output = workspace.dvc("repro")
    assert "Warning: partial results: 1 of 3 folds, 3 of 9 clips (held_out: sub02)" in output
    predictions = pd.read_csv(workspace.root / "results/synthetic/predictions.csv")
    assert set(predictions["subject"]) == {"sub02"}
    # The one fold is what it was in the whole study, and is not trained again when the others join it.
    assert "train@synthetic-sub02" not in ran(output)
    workspace.dvc("plots", "show")  # the curves of the folds that were not trained are empty
    workspace.edit("held_out: [sub02]", "held_out: all")
    assert not ran(workspace.dvc("repro"))
    assert workspace.outputs() == before


def test_the_held_out_subject_cannot_influence_its_fold(workspace):
    """The model of a fold stays the same whatever the clips of its subject show and whatever they are labelled."""
    before = torch.load(workspace.root / "models/synthetic/sub02.pt", weights_only=True)
    predicted = workspace.read("results/synthetic/folds/sub02.csv")
    split = workspace.root / "data/synthetic/splits/sub02.csv"
    table = pd.read_csv(split)
    test = table["role"] == "test"
    table.loc[test, "label"] = "surprise"
    rows = np.flatnonzero(test)
    for path in (split, workspace.root / "data/synthetic/flow.h5"):  # a linked file is the cache itself
        shutil.copy2(path, copied := path.with_suffix(".copy"))
        copied.replace(path)
        path.chmod(0o644)
    table.to_csv(split, index=False)
    with h5py.File(workspace.root / "data/synthetic/flow.h5", "r+") as file:
        file["flow"][rows] = np.random.default_rng(0).normal(size=file["flow"][rows].shape)
    refused = workspace.stage("train", "stanet", "sub02", fails=True)  # the manifest names other flow
    assert "data/synthetic/flow.h5: expected the content with SHA-256" in refused and "Traceback" not in refused
    workspace.stage("gather", "synthetic")
    workspace.stage("train", "stanet", "sub02")
    after = torch.load(workspace.root / "models/synthetic/sub02.pt", weights_only=True)
    assert all(torch.equal(value, after["state_dict"][name]) for name, value in before["state_dict"].items())
    assert workspace.read("results/synthetic/folds/sub02.csv") != predicted  # it was shown the other clips


def test_a_fold_without_a_clip_or_with_one_twice_stops_the_aggregation(workspace):
    fold = workspace.root / "results/synthetic/folds/sub01.csv"
    lines = fold.read_text().splitlines(keepends=True)
    clip = lines[1].split(",")[0]
    fold.unlink()
    fold.write_text("".join(lines[:1] + lines[2:]))
    assert f"{clip} has no prediction" in workspace.stage("aggregate", "stanet", fails=True)
    fold.write_text("".join([*lines, lines[1]]))
    assert f"{clip} has 2 predictions" in workspace.stage("aggregate", "stanet", fails=True)


def test_folds_of_different_devices_are_a_warning(workspace):
    path = workspace.root / "models/synthetic/sub01.pt"
    model = torch.load(path, weights_only=True) | {"device": "cuda"}
    path.unlink()
    with path.open("wb") as stream:
        torch.save(model, stream)
    output = workspace.stage("report")
    assert "Warning: the folds were trained on different kinds of device (cpu: sub02, sub03; cuda: sub01)" in output


def test_a_truncated_file_is_one_clear_error_of_the_stage_that_reads_it(workspace):
    incomplete, other = "expected a complete HDF5 file", "expected the content with SHA-256"
    for name, stage, message in (
        ("interpolated.h5", ["resize", "synthetic"], incomplete),
        ("resized.h5", ["stabilise", "synthetic"], incomplete),
        ("head_motion.h5", ["extract_flow", "synthetic"], incomplete),
        ("flow.h5", ["train", "stanet", "sub01"], other),
    ):
        path = workspace.root / "data/synthetic" / name
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])
        output = workspace.stage(*stage, fails=True)
        assert f"{name}: {message}" in output and "Traceback" not in output
        path.write_bytes(content)


def test_a_damaged_frame_is_named(workspace):
    frame = next((workspace.root / "data/raw/synthetic/Cropped/sub02").rglob("*.jpg"))
    content = frame.read_bytes()
    frame.unlink()
    frame.write_bytes(content[:200])
    for stage in ("index", "interpolate"):
        output = workspace.stage(stage, "synthetic", fails=True)
        assert f"{frame.relative_to(workspace.root)} is a truncated JPEG" in output and "Traceback" not in output


def forget(workspace, stage):
    """Remove the outputs of a stage from DVC's cache: as in a first run, there is nothing to restore it from."""
    shutil.rmtree(workspace.root / ".dvc/cache/runs", ignore_errors=True)
    lock = YAML(typ="safe", pure=True).load(workspace.root / "dvc.lock")
    for out in lock["stages"][stage]["outs"]:
        cached = workspace.root / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]
        cached.unlink(missing_ok=True)


def killed_in_the_middle(workspace, stage):
    """Kill DVC and its stage with SIGKILL as soon as the stage is at work; whether it was still at work then."""
    forget(workspace, stage)
    process = workspace.begin("dvc", "repro", "--single-item", "--force", stage)
    partial = workspace.root / ".partial"
    while process.poll() is None:
        if partial.exists() and any(partial.iterdir()):
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate()
    return process.returncode == -signal.SIGKILL and partial.exists() and any(partial.iterdir())


@pytest.mark.parametrize("stage", sorted(ALL - {"train@synthetic-sub01", "train@synthetic-sub03"}))
def test_a_killed_stage_leaves_no_trace_in_the_result(finished, tmp_path, stage):
    workspace = copy_of(finished, tmp_path)
    before = workspace.outputs()
    # A stage may be through before the signal arrives: then nothing was tested, and it is started once more.
    assert any(killed_in_the_middle(workspace, stage) for _ in range(10)), f"{stage} was never caught in the middle"
    assert stage in ran(workspace.dvc("repro"))
    assert workspace.outputs() == before
    assert not (workspace.root / ".partial").exists()
    assert workspace.run("git", "status", "--porcelain") == ""


def test_the_stages_run_the_python_of_the_environment_above_them(workspace, tmp_path):
    inner = workspace.root / ".dvc/tmp/experiment"
    inner.mkdir(parents=True)
    fake = workspace.root / ".venv/bin/python"
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\necho environment "$@"\n')
    fake.chmod(0o755)
    launcher = str(Path(workspace.root / "stages/python"))
    workspace.root = inner
    assert workspace.run(launcher, "-m", "stages.index") == "environment -m stages.index\n"


def test_without_any_python_the_launcher_says_what_to_do(workspace):
    workspace.environment["PATH"] = "/nowhere"
    assert "make repro" in workspace.run("/bin/sh", "stages/python", "-m", "stages.index", fails=True)
