"""Where the arrays of a study lie: one small manifest for each database that it is made of.

Nothing is copied into a dataset: its clips are looked up by name in the files of their databases. The manifests name
these files with their hashes, so that whatever depends on a manifest depends on the arrays.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.errors import InputError
from pipeline.storage import clip_store
from pipeline.storage.digests import sha256


@dataclass(frozen=True)
class File:
    """A file of a database, and what is in it."""

    path: str
    """Relative to the checkout, with `/`."""
    sha256: str

    def checked(self) -> Path:
        """Where the file is, once its content is compared with its hash.

        Raises
        ------
        InputError
            The file is missing, or something else is in it.
        """
        file = Path(self.path)
        found = sha256(file) if file.is_file() else "no such file"
        if found != self.sha256:
            raise InputError(
                f"{file}: expected the content with SHA-256 {self.sha256}, found {found}. "
                "Delete the file and run `dvc repro`, which makes it again or restores it from the cache."
            )
        return file


@dataclass(frozen=True)
class Part:
    """What one database gives to a study."""

    database: str
    prefix: str
    """Stands before the database's clip and subject names in the study; empty where it is the only one."""
    recordings: File
    frames: File
    """stabilised.h5."""
    flow: File
    head_motion: File
    truth: File | None
    """The known motion of its clips, in register with `frames`; None where it is not known."""
    annotation: dict[str, str]
    """SHA-256 of each annotation file by its name."""


def prefix(database: str, several: bool) -> str:
    """What stands before the clips and subjects of a database in a study of several: two people stay two."""
    return f"{database}-" if several else ""


def file_of(path: Path) -> File:
    """A file of the checkout as it is now."""
    return File(path.as_posix(), sha256(path))


def as_text(part: Part) -> str:
    """A manifest as JSON."""
    return json.dumps(asdict(part), indent=2) + "\n"


def parse(text: str, source: str) -> Part:
    """A manifest from its JSON; `source` names it in errors.

    Raises
    ------
    InputError
        It is no manifest.
    """
    try:
        facts: dict[str, Any] = json.loads(text)
        files: dict[str, Any] = {
            name: File(**facts.pop(name)) for name in ("recordings", "frames", "flow", "head_motion")
        }
        truth = facts.pop("truth")
        return Part(**files, **facts, truth=None if truth is None else File(**truth))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{source}: expected the manifest of a database as the stage `gather` writes it, found something else "
            f"({type(error).__name__}: {error}). Delete it and run `dvc repro`."
        ) from error


def read(manifests: Iterable[Path]) -> list[Part]:
    """The parts of a study from the manifests of its databases, in their order.

    Raises
    ------
    InputError
        A manifest is missing or damaged.
    """
    parts = []
    for path in manifests:
        if not path.is_file():
            raise InputError(f"{path}: expected the manifest of a database, found no such file. Run `dvc repro`.")
        parts.append(parse(path.read_text(encoding="utf-8"), str(path)))
    return parts


@contextmanager
def arrays(parts: Sequence[Part], kind: str) -> Iterator[Callable[[str], np.ndarray]]:
    """Look up the array of a clip by its name in the study; the files are open as long as the block lasts.

    Parameters
    ----------
    parts
        The parts of a study, from `read`.
    kind
        `frames`: uint8 (F, S, S, 3) RGB; `flow`: float16 (F - 1, 2, S, S), pixels per frame; `head_motion`: float64
        (F, 2, 3), affine map of the head from the first frame to each, pixels.

    Raises
    ------
    InputError
        A file is missing or damaged, or (when it is looked up) there is no such clip.
    """
    with ExitStack() as stack:
        places: dict[str, tuple[h5py.File, int]] = {}
        for part in parts:
            path = Path(getattr(part, kind).path)
            file = stack.enter_context(clip_store.reading(path))
            names = clip_store.clip_names(file)
            places |= {part.prefix + clip: (file, row) for row, clip in enumerate(names)}

        def array(clip: str) -> np.ndarray:
            if clip not in places:
                listed = ", ".join(getattr(part, kind).path for part in parts)
                raise InputError(f"expected the clip {clip} in {listed}, found none. Run `dvc repro`.")
            file, row = places[clip]
            return clip_store.values(file, kind, row)

        yield array
