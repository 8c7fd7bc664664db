"""What a long stage has finished when it is interrupted, kept for the next run.

DVC removes a stage's outputs before it runs it, so finished pieces stand in a folder outside of them, under a key made
of everything that they depend on: pieces of other frames, settings or code are never mixed in. Every piece is one
complete file that carries its own checksum.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.storage.locks import held
from pipeline.storage.outputs import NO_ROOM

_DIGEST = hashlib.sha256().digest_size  # bytes before the array in the file of a piece


def key(facts: Mapping[str, object], files: Iterable[Path]) -> str:
    """SHA-256, in hex, of facts (what JSON can hold) and of the content of files."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


class Pieces:
    """Numbered arrays in a folder, each in a file that appears completely or not at all.

    `finished` are the numbers of those that an earlier run left whole; `damaged` names the files that it left and that
    are not what was written: they are removed, to be made again. `stale` says that there were pieces of something else,
    which are removed as well.
    """

    def __init__(self, folder: Path, stale: bool = False) -> None:
        self._folder = folder
        self.stale = stale
        self.finished: set[int] = set()
        self.damaged: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if not re.fullmatch(r"\d+\.part", path.name):
                path.unlink()  # never finished
            elif _content(path) is None:
                path.unlink()
                self.damaged.append(path)
            else:
                self.finished.add(int(path.stem))

    def load(self, number: int) -> np.ndarray:
        """A finished piece."""
        content = _content(self._path(number))
        if content is None:
            raise InputError(f"{self._path(number)} was changed or removed during the run; run again")
        array: np.ndarray = np.load(io.BytesIO(content))
        return array

    def save(self, number: int, array: np.ndarray) -> None:
        """Keep a piece, as soon as it is finished.

        Raises
        ------
        InputError
            The disk is full.
        """
        buffer = io.BytesIO()
        np.save(buffer, array)
        content = buffer.getvalue()
        # A name of its own: another process that writes the same piece cannot get into this file.
        handle, unfinished = tempfile.mkstemp(dir=self._folder)
        try:
            with open(handle, "wb") as stream:  # noqa: PTH123 -- a handle, not a path
                stream.write(hashlib.sha256(content).digest() + content)
            Path(unfinished).replace(self._path(number))
        except OSError as error:
            Path(unfinished).unlink(missing_ok=True)
            if error.errno in NO_ROOM:
                raise InputError(
                    f"cannot write {self._path(number)}: {os.strerror(error.errno)}. What was finished before is kept: "
                    "free disk space and run again, and the run goes on from there."
                ) from error
            raise

    def remove(self, number: int) -> None:
        """Give up a piece that later ones make useless; nothing happens if there is none."""
        self._path(number).unlink(missing_ok=True)
        self.finished.discard(number)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.part"


def _content(path: Path) -> bytes | None:
    """What was written to the file of a piece, or None where it is missing, cut off or altered."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = stored[:_DIGEST], stored[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


@contextmanager
def resumable(folder: Path, key: str) -> Iterator[Pieces]:
    """Pieces under `key` in `folder`, for this process alone; removed when the block ends well, kept when it does not.

    Pieces under other keys are removed.

    Raises
    ------
    InputError
        Another process is at work in `folder`.
    """
    with held(folder / "lock", f"{folder}: another process is at work on the same result"):
        others = [other for other in folder.iterdir() if other.is_dir() and other.name != key]
        stale = any(any(other.glob("*.part")) for other in others)
        for other in others:
            shutil.rmtree(other)
        yield Pieces(folder / key, stale)
        shutil.rmtree(folder / key)
