"""dvc.lock as DVC writes it: read in milliseconds, and copied while it is whole.

DVC writes the file in place, so a run that is stopped at that moment leaves it cut off. Hence every stage keeps a copy
when it starts, which `recovery` puts back.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline import paths
from pipeline.storage.outputs import staged

_ENTRY = re.compile(r"^  (?=[^\s-])", re.MULTILINE)
"""Where the entry of a stage begins."""
_FILE = re.compile(
    r"^    - path: (.*)\n      hash: md5\n      md5: '?([0-9a-f]{32}(?:\.dir)?)'?\n      size: \d+\n", re.MULTILINE
)


class Output(NamedTuple):
    """A file or folder that a stage wrote."""

    stage: str
    path: str
    """Relative to the checkout."""
    md5: str
    """Of its content; for a folder of the list of its files, with `.dir`."""


def outputs() -> list[Output]:
    """List what dvc.lock names, of all datasets; nothing without the file."""
    return list(_outputs(_text(paths.LOCK)))


def dependencies(script: str) -> set[str]:
    """List the files and folders that the stages of a script read, whatever they last ran for."""
    found = set()
    for _, entry in _entries(_text(paths.LOCK)):
        if re.search(rf"^    cmd: .*-m stages\.{script}\b", entry, re.MULTILINE):
            found |= {path.strip("'\"") for path, _ in _FILE.findall(entry.partition("\n    outs:\n")[0])}
    return found


def lost(version: str) -> list[str]:
    """List the stages of which dvc.lock lacks an output that another version of it has."""
    found = {(output.stage, output.path) for output in outputs()}
    return sorted({output.stage for output in _outputs(version) if (output.stage, output.path) not in found})


def keep(shrunk: bool = False) -> None:
    """Keep a copy of dvc.lock, unless it lacks an output that the copy has; `shrunk` says that this is right.

    Whether it is whole is seen from its form alone, because DVC has just read or written it, and reading it as YAML
    takes 0.1 s. In a copy of the checkout, which borrows the folder of another one, nothing is kept.

    Raises
    ------
    InputError
        The disk is full.
    """
    target, text, kept = paths.kept_lock(), _text(paths.LOCK), copy()
    if not text or target.parent.is_symlink() or text == kept or (not shrunk and lost(kept)):
        return
    for draft in target.parent.glob(f"{target.name}@*"):  # of processes that were killed while they wrote
        if not _is_alive(int(draft.name.rpartition("@")[2])):
            shutil.rmtree(draft, ignore_errors=True)
    # Stages may start side by side. The draft lies beside the copy: `.partial` is for what a stage makes.
    with staged(target.with_name(f"{target.name}@{os.getpid()}"), target) as [draft]:
        draft.write_text(text, encoding="utf-8")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def copy() -> str:
    """Read the copy that was kept; empty where there is none."""
    return _text(paths.kept_lock())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _outputs(text: str) -> Iterator[Output]:
    for stage, entry in _entries(text):
        outs = entry.partition("\n    outs:\n")[2]
        yield from (Output(stage, path.strip("'\""), digest) for path, digest in _FILE.findall(outs))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of every stage, in order."""
    for block in _ENTRY.split(text.partition("\nstages:\n")[2])[1:]:
        yield block.partition(":")[0], block
