"""A network that cannot be compiled here is one error before anything is computed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from pipeline.errors import InputError
from pipeline.learning import compiler
from stages import extract_flow, index

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_checked():
    compiler.check_compiler.cache_clear()
    yield
    compiler.check_compiler.cache_clear()


@pytest.fixture
def broken(monkeypatch):
    """A compiler that fails when the compiled function is called, as PyTorch's does."""

    def compiled(function, **options):
        def call(*arguments):
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1")

        return call

    monkeypatch.setattr(torch, "compile", compiled)


EXPECTED = "train.compile is true, but PyTorch cannot compile a network on this machine: InvalidCxxCompiler"


def test_a_compiler_that_does_not_work_is_one_error(broken):
    with pytest.raises(InputError) as error:
        compiler.check_compiler(torch.device("cpu"))
    assert EXPECTED in str(error.value) and "VERBOSE" not in str(error.value) and "apt install g++" in str(error.value)


@pytest.mark.parametrize("stage", [index, extract_flow])
def test_the_first_stages_say_so_before_they_begin(broken, tmp_path, monkeypatch, stage):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("compile: false", "compile: true "))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(stage.main, ["synthetic"])
    assert result.exit_code == 1 and EXPECTED in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
    (tmp_path / "params.yaml").write_text(text)
    assert EXPECTED not in CliRunner().invoke(stage.main, ["synthetic"]).output


@pytest.mark.whole_run  # PyTorch takes seconds to look for a compiler
def test_without_a_compiler_in_the_path_it_is_said(tmp_path):
    for name in ("sh", "env", "uname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    program = "import torch; from pipeline.learning.compiler import check_compiler; check_compiler(torch.device('cpu'))"
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and f"InputError: params.yaml: {EXPECTED}" in done.stderr
