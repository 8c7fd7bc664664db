"""What git brings into a clone: the same bytes for everybody, and a place for the data."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str) -> str:
    # Without the settings of the person who runs the tests.
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A repository with the files of the working tree."""
    folder = tmp_path_factory.mktemp("committed")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_a_clone_has_the_same_bytes_whatever_git_does_with_line_ends(committed, tmp_path, setting):
    git(tmp_path, "clone", "--quiet", "-c", f"core.autocrlf={setting}", str(committed), "clone")
    names = git(committed, "ls-files").splitlines()
    different = [name for name in names if (tmp_path / "clone" / name).read_bytes() != (ROOT / name).read_bytes()]
    assert len(names) > 300 and different == []
    assert os.access(tmp_path / "clone/stages/python", os.X_OK)
    assert subprocess.run([tmp_path / "clone/stages/python", "-c", ""], cwd=tmp_path).returncode == 0


def test_a_clone_has_the_folder_of_the_data_and_git_ignores_what_comes_there(committed, tmp_path):
    git(tmp_path, "clone", "--quiet", str(committed), "clone")
    clone = tmp_path / "clone"
    assert [path.name for path in (clone / "data").iterdir()] == ["README.md"]
    for name in ("data/synthetic/flow.h5", "data/raw/synthetic/truth.h5", "data/file.csv"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()
    assert git(clone, "status", "--porcelain") == ""
