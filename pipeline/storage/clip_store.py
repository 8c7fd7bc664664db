"""Clips in HDF5: written one clip at a time in a fixed order, so that equal clips give equal bytes.

Arrays carry the checksums of the format itself (Fletcher32), one per clip, and so does what the file says about them: a
byte that the disk has changed is an error by name, not a clip.
"""

import errno
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import psutil

from pipeline.errors import InputError

FORMAT = ("v110", "v110")
"""The first format of HDF5 whose own bookkeeping has checksums; written by every version since 1.10."""

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_arrays(path: Path, clips: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write one array per clip, named like the clip; the shapes may differ.

    `clips` is consumed one pair at a time and must come in sorted order: the order of creation is part of the bytes.
    """
    with _writing(path) as (file, disk):
        for clip, array in clips:
            checked_dataset(file, clip, array)
            disk.check()


def write_stack(
    path: Path,
    name: str,
    clips: Sequence[str],
    arrays: Iterable[np.ndarray],
    attributes: dict[str, str | int | float] | None = None,
) -> None:
    """Write one array `name` of shape (len(clips), ...) and the clip names beside it.

    `arrays` gives one array per clip, in the order of `clips`, all of one shape and type; it is consumed one array at
    a time. `attributes` are attached to the array.

    Raises
    ------
    ValueError
        `arrays` is shorter or longer than `clips`, or the shapes differ.
    """
    with _writing(path) as (file, disk):
        # Text of a fixed length, because text of any length lies where no checksum reaches.
        checked_dataset(file, "clip", np.array([clip.encode() for clip in clips]))
        stack: h5py.Dataset | None = None
        for row, (_, array) in enumerate(zip(clips, arrays, strict=True)):
            if stack is None:
                # One chunk per clip: a clip is read with one access, and rows are never rewritten.
                shape = (len(clips), *array.shape)
                chunks = (1, *array.shape)
                stack = file.create_dataset(name, shape=shape, dtype=array.dtype, chunks=chunks, fletcher32=True)
                stack.attrs.update(sorted((attributes or {}).items()))
            if array.shape != stack.shape[1:]:
                raise ValueError(f"clip {clips[row]} has shape {array.shape}, the clips before it {stack.shape[1:]}")
            stack[row] = array
            disk.check()


def checked_dataset(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    """Write an array that is not empty, with a checksum over all of it."""
    return group.create_dataset(name, data=array, chunks=array.shape, fletcher32=True)


class _Disk(io.FileIO):
    """A file for the HDF5 library that never fails, but remembers.

    The library crashes the interpreter at exit when it cannot write what it still holds, so a write to a full disk is
    reported to it as done and raised by us afterwards.
    """

    fault: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        rest = memoryview(data)
        size = rest.nbytes
        try:
            while rest and self.fault is None:
                rest = rest[super().write(rest) :]
        except OSError as fault:
            self.fault = fault
        return size

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self.fault:
            raise self.fault

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as fault:
            self.fault = self.fault or fault
            return size or self.tell()


@contextmanager
def _writing(path: Path) -> Iterator[tuple[h5py.File, _Disk]]:
    """A new HDF5 file and what is under it; raises OSError at the end when the disk did not take everything."""
    with _Disk(path, "w+") as disk:
        with h5py.File(disk, "w", libver=FORMAT) as file:
            yield file, disk
        disk.check()


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file read-only (a file that DVC hard-linked *is* the cache); `values` reads its arrays.

    Raises
    ------
    InputError
        The file is missing, truncated, or no HDF5 file; or it cannot be opened now, and may well be good.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: expected a complete HDF5 file, {_why_closed(path, error)}") from error
    with file:
        yield file


def _why_closed(path: Path, error: OSError) -> str:
    """Say why HDF5 does not open a file, and what to do; only a damaged one is to be deleted."""
    if error.errno is None:  # it could be read: what is in it is wrong
        return f"found {path.stat().st_size} bytes that are no complete HDF5 file ({error}). {_AGAIN}"
    if error.errno == errno.ENOENT:
        return "found no such file. Run `dvc repro`, which makes it or restores it from the cache."
    if _LOCKED in str(error):
        reason = "the file system has no locks" if error.errno in _NO_LOCKS else f"it is locked by {_holder(path)}"
        return (
            f"but {reason} ({os.strerror(error.errno)}). The file itself may be good: keep it. Close the program that "
            "has it open and run again; on a file system without working locks, such as some NFS, set the environment "
            "variable HDF5_USE_FILE_LOCKING=FALSE"
        )
    return f"but it cannot be opened ({os.strerror(error.errno)}). The file itself may be good: keep it."


def _holder(path: Path) -> str:
    """Name the process that has a lock on a file, as far as Linux tells."""
    status = path.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with suppress(OSError, psutil.Error):  # no Linux; a process that has ended, or runs on another machine
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            *_, process, locked, _, _ = line.split()
            if locked == place:
                return f"process {process} ({' '.join(psutil.Process(int(process)).cmdline())[:100]})"
    return "another process, here or on another machine"


_LOCKED = "unable to lock file"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_AGAIN = "Delete it and run `dvc repro`, which makes it again or restores it from the cache."


def values(file: h5py.File | h5py.Group, name: str, rows: int | slice = np.s_[:]) -> np.ndarray:
    """An array of an open file, or some rows of it.

    Raises
    ------
    InputError
        There is no such array, or its bytes are not those that were written.
    """
    try:
        return np.asarray(file[name][rows])
    except (KeyError, OSError, RuntimeError) as error:  # what the library says depends on where the byte is
        raise InputError(
            f"{file.file.filename}: expected the array {name} as it was written, found none or one that has changed on "
            f"disk ({error}). {_AGAIN}"
        ) from error


def clip_names(file: h5py.File) -> list[str]:
    """Names of the clips of a file written by `write_stack`, in row order."""
    return [str(name.decode()) for name in values(file, "clip")]


def rows_of(clips: Sequence[str], present: Sequence[str]) -> list[int]:
    """Row of each clip among the clips that are `present` in a file written by `write_stack`.

    Raises
    ------
    InputError
        A clip is not there.
    """
    row = {name: number for number, name in enumerate(present)}
    missing = [clip for clip in clips if clip not in row]
    if missing:
        raise InputError(
            f"expected {len(clips)} clips, but {len(missing)} of them are not among the {len(present)} of the file "
            f"({', '.join(missing[:5])}). It belongs to another clip table; run `dvc repro`."
        )
    return [row[clip] for clip in clips]
