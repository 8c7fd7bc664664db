"""What an interrupted DVC leaves behind so that no other can run, put right: dvc.lock and DVC's rwlock."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import zc.lockfile

from pipeline import paths
from pipeline.errors import InputError
from pipeline.runs import dvc_lock

_RWLOCK = Path(".dvc/tmp/rwlock")
"""Who reads and writes which files: JSON that DVC writes in place, under the lock `rwlock.lock`."""
_WRITING = Path(".dvc/tmp/lock")
"""What DVC holds while it writes dvc.lock, and lets go while a stage runs."""
_PATIENCE = 5.0  # seconds; DVC itself waits for three


def recover() -> list[str]:
    """Put right what an interrupted DVC has left in the checkout in the current folder; otherwise change nothing.

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


def _mend_lock() -> Iterator[str]:
    if dvc_lock.fault():
        with _held(_WRITING, paths.LOCK):
            if fault := dvc_lock.fault():  # still, now that nobody writes it
                yield f"{paths.LOCK} was damaged: {fault}"
                yield dvc_lock.mend()
    dvc_lock.keep(checked=True)


def _remove_rwlock() -> Iterator[str]:
    """Remove a damaged rwlock, unless a process that may have an entry in it lives."""
    if not _RWLOCK.exists() or _is_rwlock(_RWLOCK.read_bytes()):
        return
    with _held(_RWLOCK.with_name("rwlock.lock"), _RWLOCK):
        content = _RWLOCK.read_bytes() if _RWLOCK.exists() else b"{}"
        if _is_rwlock(content):
            return
        if living := _living(content, _RWLOCK.stat().st_mtime):
            raise InputError(
                f"{_RWLOCK}: expected the JSON that DVC writes, found a damaged file, while DVC is at work here "
                f"(process {', '.join(map(str, living))}). Wait for it to end, or stop it, and run again."
            )
        _RWLOCK.unlink()
        yield f"{_RWLOCK} was damaged by a process that is no more, and was removed"


def _is_rwlock(content: bytes) -> bool:
    try:
        found = json.loads(content)
        return isinstance(found, dict) and all(isinstance(entries, dict) for entries in found.values())
    except ValueError:
        return False


def _living(content: bytes, written: float) -> list[int]:
    """Processes that may have an entry in a damaged rwlock: those that are still named in it, and every DVC here."""
    named = {int(number) for number in re.findall(rb'"pid": (\d{1,9})\b', content)}
    found = []
    for process in psutil.process_iter():
        try:
            is_named = process.pid in named and process.create_time() <= written  # not another one under an old number
            if is_named or _is_dvc_here(process):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue  # it ended meanwhile, or is somebody else's
    return found


def _is_dvc_here(process: psutil.Process) -> bool:
    return any(Path(word).name == "dvc" for word in process.cmdline()[:4]) and (
        Path(process.cwd()).is_relative_to(Path.cwd())
    )


@contextmanager
def _held(lock: Path, guarded: Path) -> Iterator[None]:
    """Hold one of DVC's own locks, so that DVC does not write the file that it guards."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            held = zc.lockfile.LockFile(str(lock))
            break
        except zc.lockfile.LockError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"{guarded}: expected a whole file, found a damaged one, while another DVC is at work in this "
                    "folder. Wait for it to end, or stop it, and run again."
                ) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        held.close()
