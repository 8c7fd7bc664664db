"""Every benchmark still fits the code that it measures, as far as it can be told without measuring."""

from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
README = (ROOT / "benchmarks/README.md").read_text()
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "machine"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_is_a_command_that_says_what_it_does(name):
    answer = CliRunner().invoke(import_module(f"benchmarks.{name}").main, ["--help"])
    assert answer.exit_code == 0 and "--help" in answer.output
    assert f"python -m benchmarks.{name}" in README + (ROOT / "docs/reading.md").read_text()
