"""Mend the two files that DVC writes in place and an interrupted DVC leaves cut off: dvc.lock and its rwlock."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from pipeline import paths
from pipeline.errors import InputError
from pipeline.runs import dvc_lock
from pipeline.storage.locks import held
from pipeline.storage.outputs import staged

_RWLOCK = Path(".dvc/tmp/rwlock")
"""Who reads and writes which files: JSON that DVC writes under the lock `rwlock.lock`."""
_WRITING = Path(".dvc/tmp/lock")
"""What DVC holds while it writes dvc.lock, and releases while a stage runs."""
_PATIENCE = 5.0  # seconds; DVC itself waits for three
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


def recover() -> list[str]:
    """Mend what an interrupted DVC has left in the checkout in the current folder; otherwise change nothing.

    Returns
    -------
    What was done, a sentence each; nothing where all was well.

    Raises
    ------
    InputError
        DVC is at work at this moment and its files are damaged; git could not finish a merge of dvc.lock; or the disk
        is full.
    """
    if not Path(".dvc").is_dir():
        return []
    return [*_mend_lock(), *_remove_rwlock()]


def dvc_processes(folder: Path) -> list[psutil.Process]:
    """List every DVC that is at work in a folder or below it."""
    found = []
    for process in psutil.process_iter():
        try:
            is_dvc = any(Path(word).name == "dvc" for word in process.cmdline()[:4])
            if is_dvc and Path(process.cwd()).is_relative_to(folder.resolve()):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it ended meanwhile, or belongs to another user
    return found


# --- dvc.lock ---------------------------------------------------------------------------------------------------------


def _mend_lock() -> Iterator[str]:
    if _fault():
        with held(
            _WRITING, f"{paths.LOCK}: expected a whole file, found a damaged one, while DVC is at work", _PATIENCE
        ):
            if fault := _fault():  # still, now that no DVC writes it
                yield f"{paths.LOCK} was damaged: {fault}. {_put_together()} What it held: {paths.damaged_lock()}"
    dvc_lock.keep(shrunk=True)


def _fault() -> str | None:
    """Say what is wrong with dvc.lock.

    A cut at the end of a line may leave a file that is valid but lacks outputs, and DVC goes on with it. The copy shows
    that; where git has the same content, they were removed on purpose.
    """
    if not paths.LOCK.is_file():
        return None
    text, kept = paths.LOCK.read_text(encoding="utf-8", errors="replace"), dvc_lock.copy()
    if _CONFLICT.search(text):
        raise InputError(
            f"{paths.LOCK}: expected a file without marks of a merge (<<<<<<<), found some. Take either side "
            f"(git checkout --ours {paths.LOCK}) and run `dvc repro`, which restores what it has in its cache."
        )
    if text != kept and _entries(text) is None:
        return "DVC cannot read it"
    lost = dvc_lock.lost(kept)
    return f"it lacks outputs of {', '.join(lost)}" if lost and text not in _of_git() else None


def _put_together() -> str:
    """Write dvc.lock from what is readable: git's versions, the copy, the file itself; say what was done."""
    from dvc.utils.serialize import dumps_yaml

    damaged = paths.LOCK.read_bytes()
    with staged(paths.partial(paths.LOCK.name), paths.damaged_lock()) as [draft]:
        draft.write_bytes(damaged)
    versions = [*_of_git(), dvc_lock.copy()]  # the newest last
    cut = {stage for version in versions for stage in dvc_lock.lost(version)}
    intact = {
        stage: entry for stage, entry in (_entries(damaged.decode(errors="replace")) or {}).items() if stage not in cut
    }
    stages: dict[str, Any] = {}
    for entries in (*map(_entries, versions), intact):
        stages |= entries or {}
    if not stages:
        paths.LOCK.unlink()
        return "No other version has an entry, so it was removed; `dvc repro` restores what its run cache has."
    with staged(paths.partial(paths.LOCK.name), paths.LOCK) as [draft]:
        draft.write_text(dumps_yaml({"schema": "2.0", "stages": stages}), encoding="utf-8")
    return "Its entries were put back; `dvc repro` restores newer ones from its run cache."


def _entries(text: str) -> dict[str, Any] | None:
    """Read the entries of a version by stage; None where DVC refuses it."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
    from voluptuous import Invalid

    if "\ufffd" in text:  # which stands for bytes that are not UTF-8
        return None
    try:
        return dict(COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, paths.LOCK.name)).get("stages", {}))
    except (YAMLFileCorruptedError, Invalid):
        return None


def _of_git() -> list[str]:
    """Read the versions of dvc.lock that git has committed, and staged, as DVC does at the end of a run."""
    shown = (subprocess.run(["git", "show", f"{at}:./{paths.LOCK}"], capture_output=True) for at in ("HEAD", ""))
    return [done.stdout.decode(errors="replace") for done in shown if not done.returncode]


# --- rwlock -----------------------------------------------------------------------------------------------------------


def _remove_rwlock() -> Iterator[str]:
    """Remove a damaged rwlock, unless a DVC that may have an entry in it is alive."""
    if _is_whole(_RWLOCK):
        return
    with held(_RWLOCK.with_name("rwlock.lock"), f"{_RWLOCK}: expected JSON, found a damaged file", _PATIENCE):
        if _is_whole(_RWLOCK):
            return
        if living := ", ".join(str(process.pid) for process in dvc_processes(Path())):
            raise InputError(
                f"{_RWLOCK}: expected the JSON that DVC writes, found a damaged file, while DVC is at work here "
                f"(process {living}). Wait for it to finish, or stop it, and run again."
            )
        _RWLOCK.unlink()
        yield f"{_RWLOCK} was damaged by a process that has exited, and was removed"


def _is_whole(rwlock: Path) -> bool:
    """Whether DVC can read the file, or needs none."""
    try:
        found = json.loads(rwlock.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return isinstance(found, dict) and all(isinstance(entries, dict) for entries in found.values())
