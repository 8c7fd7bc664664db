"""`python -m pipeline folds` leaves what `dvc repro` would have left."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import TINY, shrink

SUBJECTS = TINY["subjects"]
TRAIN = [f"train@synthetic-{subject}" for subject in SUBJECTS]
FOLDS = ("folds", "--workers", "2")


def state(workspace: Workspace) -> dict[str, bytes | int]:
    """Everything that DVC remembers: dvc.lock, its run cache, its objects and their permissions."""
    cache = workspace.root / ".dvc/cache"
    found: dict[str, bytes | int] = {"dvc.lock": workspace.read("dvc.lock")}
    for file in cache.rglob("*"):
        if file.is_file():
            name = file.relative_to(cache).as_posix()
            found[name] = file.read_bytes() if name.startswith("runs") else file.stat().st_mode
    return found


def finished_folds(output: str) -> int:
    return output.count(" finished, ")


@pytest.fixture
def workspace(workspace) -> Workspace:
    return workspace.unrendered()


def lengthen(workspace: Workspace) -> None:
    """Have the folds to be trained anew, with other settings, and long enough to interfere."""
    workspace.edit("epochs: 2 ", "epochs: 6 ")


@pytest.fixture
def unfinished(workspace) -> Workspace:
    """A finished study whose folds are to be trained anew."""
    lengthen(workspace)
    return workspace


@pytest.fixture
def uninterrupted(finished, once) -> dict[str, bytes]:
    """What all files of that study are once its folds were trained one after the other."""

    def train(folder: Path) -> None:
        workspace = copy_of(finished, folder)
        lengthen(workspace)
        workspace.dvc("repro", *TRAIN)

    return Workspace(once("trained one by one", train) / "clone").outputs()


def at_work(workspace: Workspace):
    """Start `folds` and give its process as soon as one fold is finished and others are not."""
    process = workspace.begin("pipeline", *FOLDS[:-1], "1")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if finished_folds(line):
            return process
    raise AssertionError("".join(lines))


def test_what_is_left_is_what_dvc_repro_leaves(clean, finished, tmp_path):
    workspace = copy_of(clean, tmp_path)
    # Entries of other code, data and folds, in the order in which `dvc repro` writes them.
    other = re.sub(r"md5: \w{32}", f"md5: {32 * 'a'}", finished.read("dvc.lock").decode())
    (workspace.root / "dvc.lock").write_text(other)
    output = workspace.pipeline(*FOLDS)
    assert "synthetic: 3 of 3 folds to train" in output and finished_folds(output) == 3
    assert not [stage for stage in ran(output) if stage.startswith("train")]
    assert workspace.outputs() == finished.outputs()
    assert state(workspace) == state(finished)
    assert "Data and pipelines are up to date." in workspace.dvc("status")
    output = workspace.dvc("repro")
    assert "Data and pipelines are up to date." in output and not ran(output)
    workspace.commit()
    columns = [line for line in workspace.dvc("exp", "show", "--csv").splitlines() if line.startswith("main,workspace")]
    assert columns == [
        line for line in finished.dvc("exp", "show", "--csv").splitlines() if line.startswith("main,workspace")
    ]


def test_another_network_has_its_folds_in_the_same_queue(finished, tmp_path):
    """Its files are what `dvc repro` leaves, and DVC finds them done."""
    one, other = (copy_of(finished, tmp_path / name).unrendered() for name in "ab")
    for workspace in (one, other):
        own = {"features": 8, "hidden": 8, "epochs": 2, "crop": 56}
        shrink(workspace.root / "params.yaml", {"lambda": 1e-7, "networks": {"names": ["cnn_lstm"], "cnn_lstm": own}})
    output = one.pipeline(*FOLDS)
    assert "synthetic: 6 of 6 folds to train" in output and finished_folds(output) == 6
    assert "cnn_lstm sub02 finished" in output and not [stage for stage in ran(output) if stage.startswith("train")]
    assert {"network_inputs@synthetic-cnn_lstm", "pool@synthetic-cnn_lstm", "compare@synthetic"} <= ran(output)
    other.dvc("repro")
    assert one.outputs() == other.outputs()
    assert "synthetic: 0 of 6 folds to train" in one.pipeline(*FOLDS)
    one.edit("    features: 8 ", "    features: 9 ")
    output = one.pipeline(*FOLDS)
    assert "synthetic: 3 of 6 folds to train" in output and output.count("cnn_lstm sub") >= 3


def test_folds_that_dvc_knows_are_not_trained(workspace):
    output = workspace.pipeline(*FOLDS)
    assert "synthetic: 0 of 3 folds to train" in output and not ran(output)
    workspace.edit("lambda: 1e-08", "lambda: 1e-07")
    workspace.pipeline(*FOLDS)
    for folder in ("models", "results"):  # neither in place nor in dvc.lock, but in the run cache
        workspace.run("rm", "-r", folder)
    workspace.edit("lambda: 1e-07", "lambda: 1e-08")
    assert "synthetic: 0 of 3 folds to train" in workspace.pipeline(*FOLDS)
    assert (workspace.root / "models/synthetic/sub01.pt").exists()


def test_a_fold_whose_model_is_lost_is_trained_again(workspace):
    before = workspace.outputs()
    (workspace.root / "models/synthetic/sub02.pt").unlink()
    workspace.run("rm", "-r", ".dvc/cache/runs")
    entry = workspace.read("dvc.lock").decode().split("models/synthetic/sub02.pt\n")[1]
    md5 = entry.split("md5: ")[1][:32]
    (workspace.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    output = workspace.pipeline(*FOLDS)
    assert "synthetic: 1 of 3 folds to train" in output and finished_folds(output) == 1
    assert workspace.outputs() == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_finished_folds_are_kept(unfinished, uninterrupted, how):
    process = at_work(unfinished)
    os.killpg(process.pid, how)
    output, _ = process.communicate()
    assert process.returncode != 0 and "Traceback" not in output
    if how == signal.SIGINT:
        kept = int(output.split("Stopped: ")[1].split(" of 3 folds are kept")[0])
    lock = unfinished.read("dvc.lock")
    output = unfinished.dvc("repro", *TRAIN)
    trained = len(ran(output))
    assert trained < 3 and unfinished.read("dvc.lock") != lock
    if how == signal.SIGINT:
        assert trained == 3 - kept
    assert unfinished.outputs() == uninterrupted


def test_a_change_in_the_meantime_is_no_excuse_for_a_wrong_entry(unfinished):
    process = at_work(unfinished)
    lock = unfinished.read("dvc.lock")
    module = unfinished.root / "pipeline/networks/stanet/network.py"
    before = module.read_text()
    module.write_text(f"{before}# changed\n")
    output, _ = process.communicate()
    assert process.returncode == 1 and "Traceback" not in output
    assert "were changed while the folds were trained" in output
    assert unfinished.read("dvc.lock") == lock
    # Nothing is known of the new code; what was trained belongs to the old one.
    assert "Running stage 'train@synthetic-sub01'" in unfinished.dvc("repro", "--dry")
    module.write_text(before)
    output = unfinished.dvc("repro")
    assert ran(output) == {"aggregate@synthetic", "compare@synthetic", "report@synthetic"}


def test_all_variants_are_one_queue_and_their_experiments_train_nothing(workspace):
    before, lock = workspace.outputs(), workspace.read("dvc.lock")
    output = workspace.pipeline(*FOLDS, "--variants")
    # The fourth variant is the study itself.
    assert "synthetic: 9 folds of 4 experiments to train" in output and finished_folds(output) == 9
    assert workspace.outputs() == before and workspace.read("dvc.lock") == lock
    assert workspace.run("git", "status", "--porcelain") == ""
    assert "0 folds of 4 experiments to train" in workspace.pipeline(*FOLDS, "--variants")
    for changes in (
        ["lambda=0", "model.spatial_attention=false", "model.temporal_attention=false"],
        ["lambda=0", "model.spatial_attention=true", "model.temporal_attention=false"],
        ["lambda=1e-8", "model.spatial_attention=true", "model.temporal_attention=false"],
    ):
        output = workspace.dvc("exp", "run", *(word for change in changes for word in ("-S", change)))
        assert ran(output) == {"aggregate@synthetic", "compare@synthetic", "report@synthetic"}


def test_a_fold_that_fails_is_reported_and_does_not_stop_the_others(unfinished):
    unfinished.edit(
        "    memory.keep_freed_memory()\n",
        '    if fold.name == "sub02":\n        raise RuntimeError("broken on purpose")\n'
        "    memory.keep_freed_memory()\n",
        "pipeline/learning/fold.py",
    )
    output = unfinished.pipeline(*FOLDS, fails=True)
    assert "sub02 failed:\nTraceback" in output and "RuntimeError: broken on purpose" in output
    assert "1 of 3 folds failed: sub02. The others are kept" in output and finished_folds(output) == 2
    output = unfinished.dvc("repro", "--keep-going", fails=True)
    assert ran(output) == {"train@synthetic-sub02"}


def test_bad_input_is_one_clear_error(workspace):
    output = workspace.pipeline(*FOLDS, "--scheduler", "tcp://127.0.0.1:9", fails=True)
    assert "found both" in output and "Traceback" not in output
    assert "--seeds is for --variants" in workspace.pipeline(*FOLDS, "--seeds", "2", fails=True)
    assert "0 is not in the range" in workspace.pipeline(*FOLDS[:-1], "0", fails=True)
    workspace.edit("\nseed: 0 ", "\nseed: x ")
    output = workspace.pipeline(*FOLDS, fails=True)
    assert "params.yaml: 1 wrong" in output and "Traceback" not in output
