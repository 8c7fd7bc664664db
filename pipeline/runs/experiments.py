"""DVC experiments that are made in a copy of the checkout.

`dvc exp run` changes params.yaml and dvc.lock of the folder it runs in, and leaves them changed when it fails or is
killed. So it runs in a clone instead, on the same cache and the same folder of resumable work; only the finished
experiment comes back, as one git reference.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import dvc.api
import psutil
from dvc.exceptions import DvcException

from pipeline.errors import InputError
from pipeline.runs.recovery import dvc_processes
from pipeline.storage.locks import held

_LAST_LINES = 12  # of a log, in an error


class Failed(Exception):
    """A command failed; the message is the end of its output."""


class Clone:
    """A clone of the checkout in the current folder, with its uncommitted changes, on its cache."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder = folder
        self._base = base

    def dvc(self, *arguments: str, log: Path) -> None:
        """Run a DVC command; its output goes to the end of the file `log`.

        Raises
        ------
        Failed
            It failed.
        """
        command = [sys.executable, "-m", "dvc", *arguments]
        with log.open("a", encoding="utf-8") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, which can be stopped as a whole
            )
            try:
                process.wait()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait()
        if process.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise Failed("\n".join(lines[-_LAST_LINES:]))

    def run(self, name: str, settings: Mapping[str, Any], log: Path) -> None:
        """Make the experiment `name` with these values in params.yaml, and hand it to the checkout.

        What an earlier experiment of this name on the same commit was is replaced.

        Raises
        ------
        Failed
            A stage failed.
        """
        changes = [word for key, value in settings.items() for word in ("-S", f"{key}={_written(value)}")]
        self.dvc("exp", "run", "--name", name, *changes, log=log)
        reference = _reference(name, self._base)
        git("fetch", "--quiet", "--no-tags", str(self.folder), f"+{reference}:{reference}")


@contextmanager
def clone(folder: Path, base: str, borrowed: list[Path]) -> Iterator[Clone]:
    """A copy of the checkout in `folder`, for this process alone; removed in the end, also by SIGTERM and Ctrl-C.

    Uncommitted changes of files that git tracks come along, as they do with `dvc exp run`. A DVC that is still at work
    in the copy of a process that was killed is stopped.

    Parameters
    ----------
    folder
        Where; it is emptied first.
    base
        Commit of the checkout, to which the experiments will belong even if it moves on meanwhile.
    borrowed
        Paths relative to the checkout, of what git ignores but the stages read; links in the copy lead there.

    Raises
    ------
    InputError
        Another process uses the folder.
    """
    with (
        _stopped_by_signals(),
        held(folder.with_suffix(".lock"), f"{folder}: experiments are being made there already"),
    ):
        _stop_left_behind(folder)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        try:
            _clone(folder, base)
            for path in borrowed:
                _link(folder, path)
            yield Clone(folder, base)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _stop_left_behind(folder: Path) -> None:
    """Stop a DVC that has outlived the process that started it; what it shares with the checkout survives kills."""
    left = dvc_processes(folder)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
        click.echo(f"{folder}: stopped DVC (process {process.pid}), which a killed command had left at work", err=True)
    psutil.wait_procs(left, timeout=10)


def head() -> str:
    """Commit that the checkout in the current folder is at.

    Raises
    ------
    InputError
        There is none.
    """
    try:
        if above := git("rev-parse", "--show-prefix").strip():
            raise InputError(
                f"{Path.cwd()}: expected a git checkout of its own, to which experiments belong; this is the folder "
                f"{above} of another one"
            )
        return git("rev-parse", "--verify", "--quiet", "HEAD").strip()
    except Failed as error:
        raise InputError(
            f"{Path.cwd()}: expected a git checkout with at least one commit, to which experiments belong; found none"
            + f" (git says: {error})" * bool(str(error))
        ) from error


def check_identity() -> None:
    """Raise InputError unless git knows who makes experiments: DVC would say so after the first training."""
    missing = [
        f"user.{key}"
        for key in ("name", "email")
        if not configured(f"user.{key}")
        and not all(os.environ.get(f"GIT_{role}_{key.upper()}") for role in ("AUTHOR", "COMMITTER"))
    ]
    if missing:
        raise InputError(
            f"expected git to know who makes the experiments, found no {' and no '.join(missing)}; DVC keeps each as a "
            'commit. Say it once: git config --global user.name "Your Name"; git config --global user.email '
            "you@example.org"
        )


def configured(key: str) -> str:
    """Return a setting of git; empty where it is not set."""
    try:
        return git("config", "--get", key).strip()
    except Failed:
        return ""


def uncommitted(base: str) -> list[str]:
    """Files known to git that differ from a commit."""
    return git("diff", "--name-only", base).splitlines()


def commit_of(name: str, base: str) -> str | None:
    """Commit of the experiment `name` that belongs to the commit `base`, or None without one."""
    try:
        return git("rev-parse", "--verify", "--quiet", _reference(name, base)).strip()
    except Failed:
        return None


def commits_of(name: str) -> list[str]:
    """Commits of all experiments of a name, whichever commit they belong to."""
    listed = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/").splitlines()
    pairs = (line.split(" ", 1) for line in listed)
    # refs/exps/<2 digits>/<38 digits>/<name>; what DVC keeps for itself has no such commit in its path.
    return [
        commit
        for commit, reference in pairs
        if re.fullmatch(rf"refs/exps/\w{{2}}/\w{{38}}/{re.escape(name)}", reference)
    ]


def tracked(path: Path, commit: str) -> str | None:
    """Content of a file of git at a commit, or None where it is not there."""
    try:
        return git("show", f"{commit}:{path.as_posix()}")
    except Failed:
        return None


def output(path: Path, commit: str) -> str | None:
    """Content of a stage's output at a commit, or None where DVC's cache does not have it any more."""
    try:
        return str(dvc.api.read(path.as_posix(), rev=commit, encoding="utf-8"))
    except (DvcException, OSError):
        return None


def git(*arguments: str) -> str:
    """Output of a git command in the current folder.

    Raises
    ------
    Failed
        It failed.
    """
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        raise Failed(error.stderr.strip()) from error


def _reference(name: str, base: str) -> str:
    """Where git keeps an experiment: names belong to one commit."""
    return f"refs/exps/{base[:2]}/{base[2:]}/{name}"


def _clone(folder: Path, base: str) -> None:
    git("clone", "--quiet", ".", str(folder))
    git("-C", str(folder), "checkout", "--quiet", "--detach", base)
    changes = subprocess.run(["git", "diff-index", "--binary", "--full-index", "-p", base], capture_output=True)
    if changes.stdout:
        apply = ["git", "-C", str(folder), "apply", "--index", "--whitespace=nowarn"]
        subprocess.run(apply, input=changes.stdout, check=True)
    for key in ("user.name", "user.email"):  # which may be set for the checkout alone
        if value := configured(key):
            git("-C", str(folder), "config", key, value)
    settings = Path(".dvc/config.local")
    if settings.exists():
        shutil.copy2(settings, folder / settings)
    cache = _cache_dir(Path())
    _cache_dir(folder, "--local", os.path.relpath(cache, folder))  # DVC cannot write a name that is not ASCII
    # What a stage has finished when it is interrupted serves the copies of later runs, and the checkout itself.
    resume = Path(".resume")
    resume.mkdir(exist_ok=True)
    _link(folder, resume)
    (folder / ".git/info/exclude").write_text("/.resume\n")


def _cache_dir(checkout: Path, *value: str) -> str:
    """What `dvc cache dir` says in a checkout; with a value, it is set."""
    command = [sys.executable, "-m", "dvc", "cache", "dir", *value]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"`dvc {' '.join(command[3:])}` failed in {checkout.absolute()}: {done.stderr.strip()}")
    return done.stdout.strip()


def _link(folder: Path, path: Path) -> None:
    link = folder / path
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute())


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End with the clean-up of `finally`, also when the process is told to end or its terminal goes away."""

    def stop(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
