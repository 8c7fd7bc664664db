"""A clone of this repository with a tiny study in it, run once and copied for every test."""

import contextlib
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.forked import UNRENDERED, Program
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
# What `make test` runs of this folder: one pipeline from raw frames to the report. `make test-all` runs everything.
ALWAYS = {"test_the_files_are_those_of_the_contract", "test_a_second_repro_runs_nothing"}


def pytest_collection_modifyitems(items):
    """Mark the tests of whole runs, which take minutes each."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.originalname not in ALWAYS:
            item.add_marker(pytest.mark.whole_run)


class Workspace:
    """A checkout in which DVC can be run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Whatever .venv the checkout has, stages of the copy run this Python: there is no .venv above it.
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "Test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "Test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
        }

    def unrendered(self) -> "Workspace":
        """This checkout for a test that looks at no figure: rendering them is most of the time of a report."""
        other = Workspace(self.root)
        other.environment[UNRENDERED] = "1"
        return other

    def start(self, *command: str) -> subprocess.Popen:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command,
            # Ctrl-C reaches it, also when the tests run in the background, where SIGINT is ignored by all that starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            cwd=self.root,
            env=self.environment,
            start_new_session=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command to its end; stdout and stderr together."""
        return self._end(self.start(*command), fails)

    @staticmethod
    def _end(process: subprocess.Popen | Program, fails: bool) -> str:
        output, _ = process.communicate()
        assert (process.returncode != 0) == fails, output
        return output

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        """Run a DVC command, and the stages that it runs, in processes that have loaded their packages."""
        return self._end(self.begin("dvc", *arguments), fails)

    def pipeline(self, *arguments: str, fails: bool = False) -> str:
        """Run `python -m pipeline` in such a process; so is the DVC that it calls."""
        return self._end(self.begin("pipeline", *arguments), fails)

    def begin(self, module: str, *arguments: str) -> Program:
        """Start `python -m MODULE` in a process that has loaded its packages."""
        return Program(self.root, self.environment, module, *arguments)

    def stage(self, name: str, *arguments: str, fails: bool = False) -> str:
        """Run a stage's script without DVC, in this process: the code of the checkout, not of its copy."""
        with contextlib.chdir(self.root):
            result = CliRunner().invoke(importlib.import_module(f"stages.{name}").main, arguments)
        assert (result.exit_code != 0) == fails, result.output
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    def edit(self, old: str, new: str, file: str = "params.yaml") -> None:
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is not exactly once in {file}"
        path.write_text(text.replace(old, new))

    def read(self, file: str) -> bytes:
        return (self.root / file).read_bytes()

    def outputs(self) -> dict[str, bytes]:
        """Bytes of every derived file."""
        files = (file for folder in ("data", "models", "results") for file in (self.root / folder).rglob("*"))
        return {file.relative_to(self.root).as_posix(): file.read_bytes() for file in files if file.is_file()}

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "state")


def ran(output: str) -> set[str]:
    """Names of the stages that DVC ran, rather than skipped or restored."""
    return set(re.findall(r"Running stage '(.+?)'", output))


@pytest.fixture(scope="session")
def clean(once) -> Workspace:
    """A clone of the working tree with tiny parameters, nothing run yet; not to be changed."""
    return Workspace(once("clean", _clone) / "clone")


@pytest.fixture(scope="session")
def finished(clean, once) -> Workspace:
    """The tiny study after `dvc repro`, committed; not to be changed."""

    def run(folder: Path) -> None:
        workspace = copy_of(clean, folder)
        workspace.dvc("repro")
        workspace.commit()

    return Workspace(once("finished", run) / "clone")


def _clone(folder: Path) -> None:
    workspace = Workspace(folder / "clone")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (workspace.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, workspace.root / name)
    shrink(workspace.root / "params.yaml")
    # What it says of the embedded study is of no use to a tiny one, and DVC parses all of it for every stage that ends.
    (workspace.root / "dvc.lock").unlink()
    workspace.run("git", "init", "--quiet")
    workspace.commit()


@pytest.fixture
def workspace(finished, tmp_path) -> Workspace:
    """A finished study to do with as one likes."""
    return copy_of(finished, tmp_path)


def copy_of(workspace: Workspace, folder: Path) -> Workspace:
    shutil.copytree(workspace.root, folder / "clone", symlinks=True)
    copy = Workspace(folder / "clone")
    return copy.unrendered() if UNRENDERED in workspace.environment else copy
