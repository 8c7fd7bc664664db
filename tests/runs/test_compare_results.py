"""The command `compare` finds what is named: files, and experiments of this commit or another one."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import f1_score, recall_score

from pipeline.__main__ import main
from pipeline.errors import InputError
from pipeline.evaluation import comparison, metrics
from pipeline.runs import compare_results, experiments
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


def composite(table, databases=("samm", "smic", "table")):
    """The same predictions as if their subjects were of several databases."""
    before = table["subject"].map(lambda subject: f"{databases[int(subject[1:]) % len(databases)]}-")
    return table.assign(clip=before + table["clip"], subject=before + table["subject"])


def test_the_parts_of_a_composite_are_restrictions_of_the_same_predictions(files):
    one, other = composite(STANET), composite(WEAK)
    one.to_csv("a.csv", index=False)
    other.sample(frac=1, random_state=1).to_csv("b.csv", index=False)  # the order of the rows is of no consequence
    shown = command("a.csv", "b.csv", "--csv", "table.csv")
    assert "The parts: the same predictions" in shown
    written = pd.read_csv("table.csv").set_index("method")
    for name, table in (("a.csv", one), ("b.csv", other)):
        row = written.loc[name]
        assert row["samm_clips"] + row["smic_clips"] + row["table_clips"] == row["clips"] == 40
        for part in ("samm", "smic", "table"):
            clips = table[table["subject"].str.startswith(f"{part}-")]
            truth, guess = clips["label"], clips["predicted"]
            options = {"labels": sorted(set(truth)), "average": "macro", "zero_division": 0}
            expected = (truth == guess).mean(), f1_score(truth, guess, **options), recall_score(truth, guess, **options)
            assert tuple(row[f"{part}_{key}"] for key in ("accuracy", "uf1", "uar")) == pytest.approx(expected)
            block = shown.split(f"{part}, {len(clips)} clips")[1]
            line = next(line for line in block.splitlines() if name in line)
            assert line.split() == [name, f"{100 * expected[0]:.2f}", "%", *(f"{each:.3f}" for each in expected[1:])]


def test_a_metric_of_the_table_is_a_column_of_each_table(files, monkeypatch):
    monkeypatch.setitem(metrics.METRICS, "errors", metrics.Metric("Errors", lambda c: 1 - metrics.accuracy(c)))
    for name, table in (("a", composite(STANET)), ("b", composite(WEAK))):
        table.to_csv(f"{name}.csv", index=False)
    whole, parts = command("a.csv", "b.csv", "--csv", "table.csv").split("The parts:")
    assert whole.split("won-lost")[0].split()[-3:] == ["UF1", "UAR", "Errors"]
    written = pd.read_csv("table.csv").set_index("method")
    for name, row in written.iterrows():
        line = next(line for line in whole.splitlines() if line.startswith(str(name)))
        assert f"  {row['errors']:.3f}" in line and row["errors"] == 1 - row["accuracy"]
        block = parts.split("samm, ")[1]
        assert block.splitlines()[0].split()[-3:] == ["UF1", "UAR", "Errors"]
        line = next(line for line in block.splitlines() if str(name) in line)
        assert line.split()[-1] == f"{row['samm_errors']:.3f}"


def test_the_parts_are_those_that_a_study_and_the_command_score_have(files):
    table = composite(STANET)
    table.to_csv("a.csv", index=False)
    composite(WEAK).to_csv("b.csv", index=False)
    ours = compare_results.run(["a.csv", "b.csv"]).parts
    ours = ours[ours["method"] == "a.csv"].drop(columns="method").reset_index(drop=True)
    databases = table["subject"].str.split("-").str[0]
    parts = metrics.per_part(table, databases, sorted(set(table["label"])))  # as `aggregate` writes parts.csv
    pd.testing.assert_frame_equal(ours, parts[1:].reset_index(drop=True))
    [file] = json.loads(CliRunner().invoke(main, ["score", "a.csv", "--json"]).output)["files"]
    scored = {part["part"]: (part["clips"], *part["scores"].values()) for part in file["parts"]}
    assert {row.part: tuple(row)[2:] for row in ours.itertuples()} == {
        part: pytest.approx(values) for part, values in scored.items() if part != "full"
    }


@pytest.mark.parametrize("databases", [("samm",), ("", "samm", "smic")])
def test_of_one_database_nothing_more_is_said(files, databases):
    """Nor of a table of one's own, some of whose subjects are called like those of a composite."""
    named = {name: composite(table, databases) for name, table in (("a.csv", STANET), ("b.csv", WEAK))}
    for name, table in named.items():
        if "" in databases:
            table = table.assign(**{key: table[key].str.removeprefix("-") for key in ("clip", "subject")})
        table.to_csv(name, index=False)
    shown = command("a.csv", "b.csv", "--csv", "table.csv")
    found = compare_results.run(["a.csv", "b.csv"])
    assert found.parts.empty and shown == comparison.as_text(found.table)
    assert list(pd.read_csv("table.csv")) == list(found.table)


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
    table = compare_results.run(["a.csv", "here", "before"]).table.set_index("method")
    assert table.loc["here", "correct"] == (CLOSE["label"] == CLOSE["predicted"]).sum()
    assert table.loc["before", "correct"] == (WEAK["label"] == WEAK["predicted"]).sum()


def test_an_experiment_that_is_not_there_or_not_the_only_one_is_named(checkout):
    with pytest.raises(InputError, match="nothing: expected a file of predictions or a DVC experiment; found neither"):
        compare_results.run(["a.csv", "nothing"])
    with pytest.raises(InputError, match="twice: expected one experiment of this name, found 2, none of them on this"):
        compare_results.run(["a.csv", "twice"])
    checkout.clear()
    with pytest.raises(InputError, match=r"here: expected the experiment to have results/synthetic/predictions\.csv"):
        compare_results.run(["a.csv", "here"])
