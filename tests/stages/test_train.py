"""A fold that is killed in the middle goes on after its last epoch, and ends as if nothing had happened."""

import os
import signal
import time

import pytest

OUTPUTS = ("models/synthetic/sub01.pt", "results/synthetic/folds/sub01.csv", "results/synthetic/curves/sub01.csv")


@pytest.fixture
def longer(workspace):
    workspace.edit("  epochs: 2 ", "  epochs: 12 ")
    return workspace


def killed_after_an_epoch(workspace):
    """Start the fold and kill it as soon as an epoch is kept."""
    kept = workspace.root / ".resume" / "train@synthetic-sub01"
    process = workspace.begin("stages.train", "stanet", "sub01")
    while not list(kept.glob("*/*.part")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    [state] = kept.glob("*/*.part")
    return state


def test_a_killed_fold_goes_on_and_ends_with_the_same_bytes(longer):
    longer.stage("train", "stanet", "sub01")
    whole = [longer.read(file) for file in OUTPUTS]
    for file in OUTPUTS:
        (longer.root / file).unlink()
    state = killed_after_an_epoch(longer)
    output = longer.stage("train", "stanet", "sub01")
    assert f"going on after epoch {int(state.stem)} of 12" in output
    assert [longer.read(file) for file in OUTPUTS] == whole
    assert not state.parent.exists()


def test_what_was_kept_under_other_settings_is_not_used(longer):
    longer.edit("lambda: 1e-08", "lambda: 1e-03")
    longer.stage("train", "stanet", "sub01")
    expected = [longer.read(file) for file in OUTPUTS]
    longer.edit("lambda: 1e-03", "lambda: 1e-08")
    killed_after_an_epoch(longer)
    longer.edit("lambda: 1e-08", "lambda: 1e-03")
    output = longer.stage("train", "stanet", "sub01")
    assert "had other data, settings or code: it is not used" in output and "going on" not in output
    assert [longer.read(file) for file in OUTPUTS] == expected


def test_a_damaged_state_is_named_and_not_used(longer):
    longer.stage("train", "stanet", "sub01")
    whole = [longer.read(file) for file in OUTPUTS]
    state = killed_after_an_epoch(longer)
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    output = longer.stage("train", "stanet", "sub01")
    assert f"Warning: {state.relative_to(longer.root)} is not what was written to it" in output
    assert "going on" not in output
    assert [longer.read(file) for file in OUTPUTS] == whole
