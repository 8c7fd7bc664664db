"""Clips in HDF5: written one clip at a time in a fixed order, so that equal clips give equal bytes."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from pipeline.errors import InputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_arrays(path: Path, clips: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write one array per clip, named like the clip; the shapes may differ.

    `clips` is consumed one pair at a time and must come in sorted order: the order of creation is part of the bytes.
    """
    with _writing(path) as (file, disk):
        for clip, array in clips:
            file.create_dataset(clip, data=array)
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
        file.create_dataset("clip", data=list(clips), dtype=h5py.string_dtype("utf-8"))
        stack: h5py.Dataset | None = None
        for row, (_, array) in enumerate(zip(clips, arrays, strict=True)):
            if stack is None:
                # One chunk per clip: a clip is read with one access, and rows are never rewritten.
                shape = (len(clips), *array.shape)
                stack = file.create_dataset(name, shape=shape, dtype=array.dtype, chunks=(1, *array.shape))
                stack.attrs.update(sorted((attributes or {}).items()))
            if array.shape != stack.shape[1:]:
                raise ValueError(f"clip {clips[row]} has shape {array.shape}, the clips before it {stack.shape[1:]}")
            stack[row] = array
            disk.check()


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
        with h5py.File(disk, "w") as file:
            yield file, disk
        disk.check()


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file read-only (a file that DVC hard-linked *is* the cache).

    Raises
    ------
    InputError
        The file is missing, truncated, or no HDF5 file.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        found = f"{path.stat().st_size} bytes that are no complete HDF5 file" if path.exists() else "no such file"
        raise InputError(
            f"{path}: expected a complete HDF5 file, found {found} ({error}). "
            "Delete it and run `dvc repro`, which makes it again or restores it from the cache."
        ) from error
    with file:
        yield file


def clip_names(file: h5py.File) -> list[str]:
    """Names of the clips of a file written by `write_stack`, in row order."""
    return [str(name) for name in file["clip"].asstr()[:]]


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
