"""Files that appear completely or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import InputError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def staged(folder: Path, *targets: Path) -> Iterator[list[Path]]:
    """Yield one path inside `folder` per target; when the block ends well, move them all into place.

    Whatever a killed run left in `folder` is removed first. If the block raises, no target is touched and `folder`
    is removed. `folder` must be on the file system of the targets, so that each move is one atomic rename; it must
    not lie beside them, because a stray file in a folder that DVC tracks would rerun the stages that depend on it.

    Raises
    ------
    InputError
        The disk is full, or the file is larger than the file system allows.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        partial = [folder / str(number) / target.name for number, target in enumerate(targets)]
        for path in partial:
            path.parent.mkdir()
        yield partial
        for path, target in zip(partial, targets, strict=True):
            _flush(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():  # a folder cannot be renamed over one that holds files
                shutil.rmtree(target)
            path.replace(target)
    except OSError as error:
        if error.errno in NO_ROOM:
            names = ", ".join(str(target) for target in targets)
            raise InputError(
                f"cannot write {names}: {os.strerror(error.errno)}. "
                "No unfinished file was left behind. Free disk space and run again."
            ) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(folder.parent)


def _flush(path: Path) -> None:
    """Make the bytes durable before the name: a rename that survives a power cut must not point at an empty file."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # another stage is at work in it
        folder.rmdir()
