"""`python -m pipeline ablate` on a tiny study: interrupted, gone on with, refused, failed."""

import os
import shutil
import signal
import sys
import time
from io import StringIO

import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from pipeline.runs import recovery
from tests.stages.conftest import copy_of
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("ablation")  # one process makes what the tests share

ROWS = {"baseline": "baseline", "+SAB": "sab", "+SAB+l1": "sab-l1", "+SAB+TAB+l1": "sab-tab-l1"}
NAMES = [f"synthetic-{slug}-seed0" for slug in ROWS.values()]
ABLATE = ("ablate",)


def made(workspace) -> dict[str, str]:
    """Commit of every experiment of the present commit."""
    head = workspace.run("git", "rev-parse", "HEAD").strip()
    listed = workspace.run("git", "for-each-ref", "--format=%(objectname) %(refname)", f"refs/exps/{head[:2]}")
    return {reference.split("/")[-1]: commit for commit, reference in map(str.split, listed.splitlines())}


def state(workspace) -> tuple:
    """Everything of a checkout that an ablation must leave alone."""
    files = workspace.run("git", "ls-files").splitlines()
    return (
        workspace.run("git", "status", "--porcelain", "--branch"),
        workspace.run("git", "stash", "list"),
        {file: workspace.read(file) for file in files},
        workspace.outputs(),
    )


def group(workspace) -> int | None:
    """Process group of the DVC that works in the copy."""
    return next((process.pid for process in recovery.dvc_processes(workspace.root / ".dvc/tmp/ablation")), None)


def start_until(workspace, reached):
    """Start an ablation, in an interpreter whose DVC has a command line of its own; come back once `reached()`."""
    process = workspace.start(sys.executable, "-m", "pipeline", *ABLATE)
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    return process


def trained(workspace) -> list[str]:
    """What the last run said of the folds that it trained, one line for each."""
    log = workspace.root / "inspect/synthetic/ablation/training.log"
    return [line for line in log.read_text().splitlines() if " finished, " in line] if log.exists() else []


def stopped(workspace) -> bool:
    """Stop DVC, if it is at work in the copy, so that it is sure to be there for a while."""
    found = group(workspace)
    if found is None:
        return False
    try:
        os.killpg(found, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def ablated(finished, tmp_path_factory):
    """A study with uncommitted changes whose ablation was interrupted twice, then finished; what each run said."""
    workspace = copy_of(finished, tmp_path_factory.mktemp("ablated")).unrendered()
    # A change that reruns everything from the flow on, and names a file that git ignores.
    (workspace.root / "weights/mine").write_bytes(b"never read by DIS")
    workspace.edit("weights: weights/none ", "weights: weights/mine ")
    before = state(workspace)

    process = start_until(workspace, lambda: trained(workspace))
    os.kill(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    assert not (workspace.root / ".dvc/tmp/ablation").exists()
    assert state(workspace) == before and not made(workspace)
    kept = len(trained(workspace))

    process = start_until(workspace, lambda: made(workspace) and stopped(workspace))
    # No fold was trained twice, and none of the three of the complete network, which is that of the finished study.
    assert len(trained(workspace)) == 12 - 3 - kept
    first = made(workspace)
    assert f"already (process {process.pid})" in workspace.pipeline(*ABLATE, fails=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert state(workspace) == before
    left_behind = group(workspace)
    os.kill(left_behind, 0)  # it is there

    output = workspace.pipeline(*ABLATE, "--csv", "table.csv", "--md", "table.md", "--html", "table.html")
    said = f".dvc/tmp/ablation: stopped DVC (process {left_behind}), which a killed command had left at work\n"
    assert said in output
    output = output.replace(said, "")
    files = {name: (workspace.root / name).read_text() for name in ("table.csv", "table.md", "table.html")}
    for name in files:
        (workspace.root / name).unlink()
    assert state(workspace) == before
    assert first.items() <= made(workspace).items() and not trained(workspace)
    return workspace, output, files


def predictions(workspace, name):
    """By another way than the command's: `dvc get` of the experiment."""
    target = workspace.root.parent / f"{name}.csv"
    if not target.exists():
        workspace.dvc("get", ".", "results/synthetic/predictions.csv", "--rev", name, "--out", str(target))
    return pd.read_csv(target)


def test_four_experiments_are_there_and_differ_by_what_they_should(ablated):
    workspace, _, _ = ablated
    assert sorted(made(workspace)) == sorted(NAMES)
    for name, spatial, temporal, weight in zip(
        NAMES,
        ("false", "true", "true", "true"),
        ("false", "false", "false", "true"),
        ("0", "0", "1e-08", "1e-08"),
        strict=True,
    ):
        text = workspace.run("git", "show", f"{made(workspace)[name]}:params.yaml")
        assert f"spatial_attention: {spatial}\n" in text and f"temporal_attention: {temporal}\n" in text
        assert f"\nlambda: {weight} " in text and "weights: weights/mine " in text
    assert NAMES[0] in workspace.dvc("exp", "show", "--only-changed", "--csv")
    assert "accuracy" in workspace.dvc("metrics", "diff", "--all", NAMES[0], NAMES[3])


def test_the_table_is_what_the_predictions_of_the_experiments_give(ablated):
    workspace, output, files = ablated
    csv = pd.read_csv(StringIO(files["table.csv"]))
    assert list(csv["row"]) == list(ROWS)
    above = None
    for (_, line), name in zip(csv.iterrows(), NAMES, strict=True):
        table = predictions(workspace, name)
        right = (table["label"] == table["predicted"]).to_numpy()
        assert (line["clips"], line["correct"], line["seed"]) == (9, right.sum(), 0)
        assert f"{right.sum()} of 9" in output
        if above is not None:
            cross = pd.crosstab(above, right).reindex(index=[False, True], columns=[False, True], fill_value=0)
            changed = cross.loc[True, False] + cross.loc[False, True]
            assert line["p"] == pytest.approx(mcnemar(cross, exact=True).pvalue if changed else 1.0)
        above = right
    assert len({predictions(workspace, name).to_csv() for name in NAMES}) == 4
    assert "baseline" in files["table.md"] and "<table>" in files["table.html"]
    assert "Uncommitted changes are part of the experiments: params.yaml" in output


def test_finished_experiments_are_taken_as_they_are(ablated):
    workspace, output, _ = ablated
    before = made(workspace), state(workspace)
    assert workspace.pipeline(*ABLATE, "--seeds", "1") == output
    assert (made(workspace), state(workspace)) == before
    # What dvc.lock names was put into the copy at once.
    log = workspace.read("inspect/synthetic/ablation/preparation.log").decode()
    assert "Stage 'interpolate@synthetic' didn't change, skipping" in log


def test_an_experiment_made_with_something_else_is_never_taken_for_this_one(ablated, tmp_path):
    workspace = copy_of(ablated[0], tmp_path)
    before = made(workspace)
    workspace.edit("epochs: 2 ", "epochs: 3 ")
    with (workspace.root / "pipeline/evaluation/protocols.py").open("a") as stream:
        stream.write("# changed\n")
    output = workspace.pipeline(*ABLATE, fails=True)
    assert (
        "synthetic-baseline-seed0: another pipeline/evaluation/protocols.py; train.epochs was 2, would be 3" in output
    )
    assert f"dvc exp remove {' '.join(NAMES)}" in output and "Traceback" not in output
    assert made(workspace) == before
    # On a commit of its own the same names are free, and a setting that trained before need not train again.
    workspace.run("git", "checkout", "--quiet", "pipeline/evaluation/protocols.py")
    workspace.edit("epochs: 3 ", "epochs: 2 ")
    workspace.commit()
    shutil.rmtree(workspace.root / "inspect")
    assert "of 9" in workspace.pipeline(*ABLATE)
    assert not trained(workspace)
    assert sorted(made(workspace)) == sorted(NAMES)


def test_a_failing_fold_names_its_experiment_and_the_log(workspace):
    workspace.edit(
        '    """Train each phase for its fixed number of epochs, then',
        '    raise SystemError("out of luck")\n    """Then',
        "pipeline/learning/training.py",
    )
    before = state(workspace)
    output = workspace.pipeline(*ABLATE, fails=True)
    log = "inspect/synthetic/ablation/training.log"
    assert (
        "12 of 12 folds failed: " in output and "synthetic-baseline-seed0 sub01" in output and f"is in {log}" in output
    )
    assert "SystemError: out of luck" in workspace.read(log).decode()
    assert state(workspace) == before and not made(workspace)
    assert not (workspace.root / ".dvc/tmp/ablation").exists()


def test_a_failure_before_training_is_named_with_its_log(workspace):
    shrink(workspace.root / "params.yaml", {"subjects": ["sub01", "sub02", "sub07"]})
    before = state(workspace)
    output = workspace.pipeline(*ABLATE, fails=True)
    log = "inspect/synthetic/ablation/preparation.log"
    assert f"the stages before training failed; all of what they said is in {log}" in output
    assert "in params.yaml: sub01, sub02, sub07" in output and "Traceback" not in output
    assert state(workspace) == before and not made(workspace)


def test_what_cannot_work_is_said_at_once(workspace, tmp_path):
    output = workspace.pipeline(*ABLATE, "--csv", "nowhere/table.csv", fails=True)
    assert "nowhere/table.csv" in output and "no folder" in output
    output = workspace.pipeline(*ABLATE, "--csv", "/proc/table.csv", fails=True)
    assert "Error: /proc/table.csv: expected a folder that can be written to" in output
    output = workspace.pipeline(*ABLATE, "--scheduler", "", fails=True)
    assert "Error: expected a Dask scheduler" in output
    workspace.edit("raw: data/raw/synthetic", f"raw: {tmp_path / 'gone'}")
    assert f"found nothing at {tmp_path / 'gone'}" in workspace.pipeline(*ABLATE, fails=True)
    workspace.edit("lambda: 1e-08", "lambda: 0")
    assert "lambda is 0" in workspace.pipeline(*ABLATE, fails=True)
    shutil.rmtree(workspace.root / ".git")
    workspace.edit("lambda: 0", "lambda: 1e-08")
    assert "expected a git checkout with at least one commit" in workspace.pipeline(*ABLATE, fails=True)
