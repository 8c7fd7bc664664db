"""The tiny study that is attacked, and what it must look like afterwards."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from tests.stages.conftest import ROOT, Workspace, copy_of
from tests.tiny import shrink

OTHERS = ("index@casme2", "report@casme2", "train@smic-s01")
"""Stages of datasets that are not active: their entries in dvc.lock may never be lost."""
_LIMIT = 600  # seconds for a command


class Study:
    """A finished tiny study, and copies of it to attack.

    `outputs` has the bytes of its files, `entries` what its dvc.lock says, `active` the names of its stages.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if (folder / "finished/clone/.git").exists():  # of an earlier campaign
            self.finished = Workspace(folder / "finished/clone")
            self._remember()
            return
        self.clean = Workspace(folder / "clean")
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
            (self.clean.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.clean.root / name)
        shrink(self.clean.root / "params.yaml")
        (self.clean.root / ".git/info").mkdir(parents=True)
        self.clean.run("git", "init", "--quiet")
        (self.clean.root / ".git/info/exclude").write_text("/.venv\n")
        (self.clean.root / ".venv").symlink_to((ROOT / ".venv").resolve())
        self.clean.commit()
        self.finished = copy_of(self.clean, folder / "finished")
        make(self.finished)
        self._add_others()
        self.finished.commit()
        self._remember()

    def copy(self, name: str) -> Workspace:
        """A finished study to attack."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return copy_of(self.finished, self.folder / name)

    def fault(self, workspace: Workspace) -> str | None:
        """How a study differs from what it was, or None."""
        found = workspace.outputs()
        different = [name for name in self.outputs.keys() | found if self.outputs.get(name) != found.get(name)]
        if different:
            return f"other bytes in {', '.join(sorted(different)[:5])}"
        now = entries(workspace)
        lost = [name for name in self.entries if now.get(name) != self.entries[name]]
        return f"other entries in dvc.lock: {', '.join(lost)}" if lost else None

    def _remember(self) -> None:
        self.outputs = self.finished.outputs()
        self.entries = entries(self.finished)
        self.active = [
            name
            for name, entry in self.entries.items()
            if name not in OTHERS and all((self.finished.root / out["path"]).exists() for out in entry["outs"])
        ]

    def _add_others(self) -> None:
        """Give dvc.lock entries of other datasets, in front and between."""
        yaml = YAML()
        path = self.finished.root / "dvc.lock"
        document = yaml.load(path)
        stages = document["stages"]
        for place, name in enumerate(OTHERS):
            stages.insert(2 + 3 * place, name, stages["report@synthetic"])
        yaml.default_flow_style = False
        yaml.representer.ignore_aliases = lambda *_: True
        yaml.dump(document, path)


def entries(workspace: Workspace) -> dict:
    """What dvc.lock says, by stage."""
    return YAML(typ="safe", pure=True).load(workspace.root / "dvc.lock")["stages"]


def make(workspace: Workspace) -> str:
    """`make repro`, in an environment that is there."""
    return workspace.run("make", "--no-print-directory", "--assume-old=.venv/.ready", "repro")


def forget(workspace: Workspace, *stages: str) -> None:
    """Remove the outputs of stages from DVC's cache, so that they have to be made again."""
    shutil.rmtree(workspace.root / ".dvc/cache/runs", ignore_errors=True)
    found = entries(workspace)
    for stage in stages:
        for out in found[stage]["outs"]:
            object_of(workspace, out["md5"]).unlink(missing_ok=True)


def object_of(workspace: Workspace, md5: str) -> Path:
    """File of DVC's cache."""
    return workspace.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def killed(workspace: Workspace, rng: random.Random, longest: float, *command: str) -> str:
    """Start a command and end it, with all that it started, after a time drawn at random; says how."""
    process = workspace.start(*command)
    number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    delay = rng.uniform(0.2, longest)
    time.sleep(delay)
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return "it was through"
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if number != signal.SIGKILL:  # what ignores the signal ends with its terminal
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return f"{number.name} after {delay:.1f} s"


def attempt(workspace: Workspace, *command: str) -> tuple[int, str]:
    """Exit code of a command, and all that it said."""
    done = subprocess.run(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    return done.returncode, done.stdout + done.stderr


def pipeline(*arguments: str) -> tuple[str, ...]:
    """A command of the pipeline."""
    return sys.executable, "-m", "pipeline", *arguments
