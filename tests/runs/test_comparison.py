"""The command `compare` finds what is named: files, and experiments of this commit or another one."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.errors import InputError
from pipeline.runs import comparison, experiments
from pipeline.runs.experiments import git
from tests.evaluation.test_comparison import CLOSE, STANET, WEAK, predictions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Predictions in files of the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, table in (("a", STANET), ("b", WEAK), ("c", CLOSE), ("seed1", predictions(0.7, 9))):
        table.to_csv(f"{name}.csv", index=False)
    return tmp_path


def command(*arguments, fails=False):
    result = CliRunner().invoke(main, ["compare", *arguments])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def test_files_are_compared_with_the_first(files):
    shown = command("a.csv", "b.csv", "c.csv", "--csv", "table.csv")
    table = pd.read_csv("table.csv")
    assert list(table["method"]) == ["a.csv", "b.csv", "c.csv"] and list(table["seeds"]) == [1, 1, 1]
    assert all(f"{row.correct} of 40" in shown for row in table.itertuples())
    assert "told apart from a.csv" in " ".join(shown.split())


def test_other_seeds_of_the_first_give_a_mean_and_a_range(files):
    shown = " ".join(command("a.csv", "b.csv", "--other-seed", "seed1.csv").split())
    assert "a.csv stands for 2 seeds" in shown and "range" in shown


def test_what_cannot_be_compared_is_named(files):
    WEAK[1:].to_csv("fewer.csv", index=False)
    Path("text.csv").write_text("")
    assert "fewer.csv lacks 1 of them: s0/EP00" in command("a.csv", "fewer.csv", fails=True)
    assert "text.csv: expected a CSV table of predictions" in command("a.csv", "text.csv", fails=True)
    assert "expected at least two results" in command("a.csv", fails=True)
    assert "found several times: a.csv" in command("a.csv", "a.csv", fails=True)


@pytest.fixture
def checkout(files, monkeypatch):
    """A git checkout with experiments as DVC keeps them; what they predict is not in any cache."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    git("init", "--quiet")
    commits = []
    for number in range(3):
        Path("code.txt").write_text(str(number))
        git("add", "--all")
        git("commit", "--quiet", "--message", str(number))
        commits.append(git("rev-parse", "HEAD").strip())
    first, second, head = commits
    for name, base in (("here", head), ("before", first), ("twice", first), ("twice", second)):
        subprocess.run(["git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", base], check=True)
    made = {head: CLOSE.to_csv(index=False), first: WEAK.to_csv(index=False)}
    monkeypatch.setattr(experiments, "output", lambda path, commit: made.get(commit))
    return made


def test_experiments_of_this_commit_and_of_another_one_are_found(checkout):
    table = comparison.run(["a.csv", "here", "before"]).set_index("method")
    assert table.loc["here", "correct"] == (CLOSE["label"] == CLOSE["predicted"]).sum()
    assert table.loc["before", "correct"] == (WEAK["label"] == WEAK["predicted"]).sum()


def test_an_experiment_that_is_not_there_or_not_the_only_one_is_named(checkout):
    with pytest.raises(InputError, match="nothing: expected a file of predictions or a DVC experiment; found neither"):
        comparison.run(["a.csv", "nothing"])
    with pytest.raises(InputError, match="twice: expected one experiment of this name, found 2, none of them on this"):
        comparison.run(["a.csv", "twice"])
    checkout.clear()
    with pytest.raises(InputError, match=r"here: expected the experiment to have results/synthetic/predictions\.csv"):
        comparison.run(["a.csv", "here"])
