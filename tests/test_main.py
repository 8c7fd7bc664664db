"""The commands that a person types."""

import errno
import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.adoption import adopt
from pipeline.flow.flownet2 import FlowNet2, estimator
from pipeline.flow.flownet2.network import FlowNetSD

ROOT = Path(__file__).parents[1]


def file_of(kind: type, path: Path) -> Path:
    """A small file of full-size weights: one stored zero stands for all values."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in kind().state_dict().items()}
    torch.save({"state_dict": {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}}, path)
    return path


def weights(path: Path, code: int) -> str:
    result = CliRunner().invoke(main, ["weights", str(path)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


class SeesMotion:
    """In place of the network with published weights, which nobody may put into a repository."""

    def __init__(self, path, device):
        pass

    def estimate_pairs(self, first, second):
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
        grey = [cv2.cvtColor(batch[0], cv2.COLOR_RGB2GRAY) for batch in (first, second)]
        return search.calc(*grey, None).transpose(2, 0, 1)[None]


class SeesTheOpposite(SeesMotion):
    def estimate_pairs(self, first, second):
        return -super().estimate_pairs(first, second)


def test_weights_that_see_motion(tmp_path, monkeypatch):
    path = file_of(FlowNet2, tmp_path / "weights.ckpt")
    monkeypatch.setattr(estimator, "Estimator", SeesMotion)
    output = weights(path, 0)
    assert f"{path}: FlowNet2, 220 tensors, 162,518,834 parameters" in output
    assert hashlib.sha256(path.read_bytes()).hexdigest() in output
    assert "zero flow 0." in output and "The network sees motion" in output


def test_weights_that_see_the_opposite_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(estimator, "Estimator", SeesTheOpposite)
    assert "expected a network that sees motion" in weights(file_of(FlowNet2, tmp_path / "weights.ckpt"), 1)


def test_weights_of_the_right_layout_that_were_never_trained_are_refused(tmp_path):
    output = weights(file_of(FlowNet2, tmp_path / "weights.ckpt"), 1)
    assert "FlowNet2, 220 tensors" in output
    assert "its error is 1.00 times that of zero flow" in output and "sees motion." not in output


def test_weights_of_another_network_are_named_and_refused(tmp_path):
    path = file_of(FlowNetSD, tmp_path / "weights.ckpt")
    output = weights(path, 1)
    assert f"{path}: FlowNet2-SD, 60 tensors" in output
    assert "it holds FlowNet2-SD" in output and "ptlflow/releases/tag/weights1" in output


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no such file"), (b"", "it is empty"), (b"<html>", "web page"), (b"x" * 99, "no file of PyTorch")],
)
def test_a_file_that_holds_no_weights_is_one_clear_error(tmp_path, content, reason):
    path = tmp_path / "weights.ckpt"
    if content is not None:
        path.write_bytes(content)
    output = weights(path, 1)
    assert reason in output and "ptlflow/releases/tag/weights1" in output and "Traceback" not in output


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(monkeypatch):
    def forbidden(*_):
        raise OSError(errno.EROFS, "Read-only file system", "inspect/sheet.png")

    monkeypatch.setattr(adopt, "use", forbidden)
    result = CliRunner().invoke(main, ["use", "synthetic"])
    assert (result.exit_code, result.output) == (1, "Error: inspect/sheet.png: Read-only file system\n")


def test_the_module_is_a_command_and_help_imports_no_torch():
    code = (
        "import runpy, sys; sys.argv = ['pipeline', '--help']\n"
        "try: runpy.run_module('pipeline', run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "python -m pipeline [OPTIONS] COMMAND" in output and "weights" in output
    assert output.endswith("False\n")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("cv2", f"Error: expected the environment of this project, but {sys.executable} has no cv2. Activate it"),
        ("pipeline.adoption.adopt", "Traceback"),
    ],
)
def test_an_environment_without_the_packages_is_one_clear_error(missing, message):
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from pipeline.__main__ import main; main(['use', 'synthetic'])"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 1 and process.stderr.startswith(message)
