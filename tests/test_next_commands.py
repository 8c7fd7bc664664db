"""Commands end by saying what a person would type next, and only where that disturbs nobody."""

import contextlib
import os
import pty
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import next_commands, paths
from pipeline.__main__ import main
from pipeline.adoption import adopt
from pipeline.evaluation import ablation_table
from pipeline.params import load_params
from pipeline.runs import ablation, folds
from tests.tiny import shrink

ROOT = Path(__file__).parents[1]
END = "\x04"  # end of transmission


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with the committed params.yaml, in which commands do their work without doing anything."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adopt, "use", lambda *_: None)
    monkeypatch.setattr(folds, "run_folds", lambda *_: None)
    monkeypatch.setattr(ablation, "train_folds", lambda *_: None)
    monkeypatch.setattr(ablation, "run", lambda *_: None)
    monkeypatch.setattr(ablation_table, "as_text", lambda _: "the table\n")
    return tmp_path


def finish(dataset="synthetic"):
    paths.report(dataset).parent.mkdir(parents=True)
    paths.report(dataset).touch()


def piped(*arguments):
    """What a command prints into a pipe."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def on_a_terminal(*arguments):
    """What a command prints on a terminal."""
    reading, writing = pty.openpty()
    with (
        os.fdopen(reading, "rb", buffering=0) as screen,
        os.fdopen(writing, "w") as terminal,
        contextlib.redirect_stdout(terminal),
    ):
        main(list(arguments), standalone_mode=False)
        terminal.write(END)
        terminal.flush()
        printed = b""
        while not printed.endswith(END.encode()):
            printed += screen.read(1000)
    return printed.decode().removesuffix(END).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["use", "synthetic"], ["Next: dvc repro", "python -m pipeline folds"]),
        (["use", "synthetic", "--check"], ["Next: the same without --check"]),
        (["folds"], ["Next: open results/synthetic/report.html", "dvc metrics diff --all"]),
        (["folds", "--variants", "--seeds", "3"], ["Next: python -m pipeline ablate --seeds 3, "]),
        (["folds", "--variants"], ["Next: python -m pipeline ablate, "]),
        (["next"], ["Next: open results/synthetic/report.html", "dvc exp run -S lambda=1e-7"]),
    ],
)
def test_what_prints_no_result_says_it_everywhere(checkout, arguments, expected):
    finish()
    output = piped(*arguments)
    assert all(words in output for words in expected) and output.count("\n") <= 2
    assert output == on_a_terminal(*arguments)


@pytest.mark.parametrize("arguments", [["use", "synthetic"], ["folds"], ["folds", "--variants"]])
def test_quiet_is_quiet(checkout, arguments):
    assert piped(*arguments, "--quiet") == on_a_terminal(*arguments, "--quiet") == ""


def test_a_table_is_followed_by_nothing_but_on_a_terminal(checkout):
    assert piped("ablate") == on_a_terminal("ablate", "--quiet") == "the table\n"
    compare = "Next: dvc metrics diff --all synthetic-baseline-seed0 synthetic-sab-tab-l1-seed"
    once = on_a_terminal("ablate")
    assert once.startswith(f"the table\n{compare}0\n") and "python -m pipeline ablate --seeds 3" in once
    often = on_a_terminal("ablate", "--seeds", "3")
    assert often.startswith(f"the table\n{compare}2\n") and "--seeds" not in often


def test_without_a_report_there_is_nothing_to_open(checkout):
    assert piped("next") == "Next: dvc repro\n"


def test_the_setting_to_compare_with_is_another_one(checkout):
    finish()
    shrink(checkout / "params.yaml", {"lambda": 1e-7})
    assert "dvc exp run -S lambda=1e-8" in piped("next")


def test_weights_that_are_missing_come_before_the_run(checkout):
    shrink(checkout / "params.yaml", {"flow": {"method": "flownet2"}})
    assert "flow.weights" in piped("use", "synthetic")
    shrink(checkout / "params.yaml", {"flow": {"weights": "weights/mine.ckpt"}})
    assert piped("use", "synthetic").startswith("Next: dvc repro\n")


def test_a_prediction_is_to_be_looked_at(checkout):
    lines = next_commands.after_predict(load_params(paths.PARAMS), Path("inspect/clip.png")).splitlines()
    assert lines[0] == "Next: open inspect/clip.png" and lines[1].endswith("results/synthetic/report.html")
