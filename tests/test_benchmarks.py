"""Every benchmark still fits the code that it measures, as far as it can be told without measuring."""

from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import comparators, head_motion

ROOT = Path(__file__).parents[1]
README = (ROOT / "benchmarks/README.md").read_text()
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "machine"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_is_a_command_that_says_what_it_does(name):
    answer = CliRunner().invoke(import_module(f"benchmarks.{name}").main, ["--help"])
    assert answer.exit_code == 0 and "--help" in answer.output
    assert f"python -m benchmarks.{name}" in README + (ROOT / "docs/reading.md").read_text()


@pytest.mark.whole_run
def test_the_benchmark_of_table_1_runs_both_stages_of_a_method():
    """One that looks for landmarks, which reads most of what the benchmark must lay ready."""
    answer = CliRunner().invoke(comparators.main, ["--clips", "4", "--subjects", "2", "--method", "mdmo"])
    assert answer.exit_code == 0, answer.output
    row = answer.output.splitlines()[1].split()
    assert row[:3] == ["4", "2", "mdmo"] and all(float(each) > 0 for each in row[3:])


@pytest.mark.whole_run
def test_the_benchmark_of_head_motion_ranks_the_ways_as_the_docs_do():
    answer = CliRunner().invoke(head_motion.main, ["--seed", "1", "--clips", "2"])
    assert answer.exit_code == 0, answer.output
    header, *rows = answer.output.splitlines()
    assert header.split()[:2] == ["face", "kept"] and len(rows) == 4
    kept, registered, *_, each = (float(error) for error in rows[0].split()[1:])
    assert each < registered < 0.6 * kept
