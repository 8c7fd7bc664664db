"""Files that one process at a time may hold."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import InputError


@contextmanager
def held(lock: Path, problem: str, patience: float = 0) -> Iterator[None]:
    """Hold a lock file; the system releases it when the process ends, however it ends.

    The file stays in place and names the process that held it last. DVC's own locks work in the same way, so that this
    also keeps DVC out.

    Parameters
    ----------
    lock
        The file; it is created where it is missing.
    problem
        What the error says, before the advice, if another process holds it.
    patience
        Seconds to wait for that process.

    Raises
    ------
    InputError
        Another process holds the file.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(lock, timeout=patience)
    try:
        file.acquire()
    except Timeout as error:
        owner = lock.read_text(encoding="utf-8", errors="replace").strip() or "just starting"
        raise InputError(f"{problem} (process {owner}). Wait for it to finish, or stop it, and run again.") from error
    try:
        lock.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        file.release()
