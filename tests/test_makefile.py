"""A missing prerequisite is one line that says what to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path):
    """A git repository without environment that holds the Makefile, and a folder of programs to be its PATH."""
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".git").mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("make", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    program(programs / "git", "exit 0")
    return tmp_path


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def refusal(checkout, *arguments):
    environment = {"PATH": str(checkout / "programs"), "LC_ALL": "C"}
    result = subprocess.run(
        [shutil.which("make"), "--no-print-directory", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert not (checkout / ".venv").exists()
    return result.stderr


def make(checkout, *arguments):
    [line, _] = refusal(checkout, *arguments).splitlines()  # the second line is make's own: which target failed
    return line


def test_git_is_missing(checkout):
    (checkout / "programs/git").unlink()
    assert "git is missing: install it" in make(checkout, "repro")


def test_no_git_repository(checkout):
    program(checkout / "programs/git", "exit 128")
    assert "no git repository: get it with git clone" in make(checkout, "test")


def test_a_checkout_of_another_owner(checkout):
    words = "fatal: detected dubious ownership in repository at '/x'\\nTo add an exception for this directory, call:"
    program(
        checkout / "programs/git",
        f'printf "{words}\\n\\n\\tgit config --global --add safe.directory /x\\n" >&2; exit 128',
    )
    said = refusal(checkout, "repro")
    assert "detected dubious ownership in repository at '/x'" in said and "no git repository" not in said
    assert f"git config --global --add safe.directory '{checkout}'" in said


def test_other_words_of_git_are_shown(checkout):
    program(checkout / "programs/git", 'echo "fatal: bad config line 3" >&2; exit 128')
    assert "get it with git clone (git says: fatal: bad config line 3)" in make(checkout, "test")


def test_python_is_missing(checkout):
    assert "python3 is missing: install Python 3.11 or newer" in make(checkout, "repro")


def test_python_is_too_old(checkout):
    program(checkout / "programs/python3", "exit 1")
    assert "python3 is too old: install Python 3.11 or newer" in make(checkout, "repro")


def test_venv_is_missing(checkout):
    program(checkout / "programs/python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    assert "venv is missing" in make(checkout, "test") and "python3-venv" in make(checkout, "test")


def test_another_python_can_be_named(checkout):
    program(checkout / "programs/python3.12", "exit 1")
    assert "python3.12 is too old" in make(checkout, "repro", f"PYTHON={checkout / 'programs/python3.12'}")
    assert os.fspath(checkout) in make(checkout, "repro", f"PYTHON={checkout / 'nowhere/python'}")


@pytest.mark.parametrize(("options", "said"), [([], ["-m pipeline next"]), (["--quiet"], [])])
def test_what_comes_next_is_said_after_the_run_unless_make_is_to_be_quiet(checkout, options, said):
    (checkout / ".venv/bin").mkdir(parents=True)
    program(checkout / ".venv/bin/python", 'echo "$@"')
    (checkout / ".venv/.ready").touch()
    environment = {"PATH": str(checkout / "programs"), "LC_ALL": "C"}
    command = [shutil.which("make"), "--no-print-directory", *options, "repro"]
    result = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["-m pipeline recover", "-m dvc repro", *said]
