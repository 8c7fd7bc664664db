"""Is what lies on disk what dvc.lock says? Of the inputs of a stage, and of every object in DVC's cache.

DVC takes a file of its cache for good once it is there, and a file of the workspace may be that same file under another
name (a hard link): a flipped byte would go into every later result without a word.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline import paths
from pipeline.errors import InputError
from pipeline.runs import dvc_lock
from pipeline.runs.dvc_lock import Output
from pipeline.storage.digests import md5

_RWLOCK = Path(".dvc/tmp/rwlock")
"""Where DVC notes who reads and writes which files, while a stage runs."""


class File(NamedTuple):
    """A file that dvc.lock names, by itself or as one of a folder."""

    path: Path
    """In the workspace."""
    md5: str
    stage: str
    """That wrote it."""

    @property
    def object(self) -> Path:
        """Its place in DVC's cache."""
        return _object(self.md5)


class Damaged(NamedTuple):
    """A file that is there with another content than dvc.lock says."""

    file: File
    places: tuple[Path, ...]
    """Where: in the cache, in the workspace, or both."""


# --- the inputs of a stage --------------------------------------------------------------------------------------------


def check_inputs(script: str) -> None:
    """Compare what a stage reads of other stages with the hashes in dvc.lock.

    What it reads is what DVC has locked for it; by hand, what an earlier run of the stage depended on.

    Parameters
    ----------
    script
        The name of the stage's script.

    Raises
    ------
    InputError
        A file has another content; all of them are listed.
    """
    read = (_read_by_dvc() if "DVC_STAGE" in os.environ else []) or dvc_lock.dependencies(script)
    outputs = [
        output
        for output in dvc_lock.outputs()
        if any(_inside(output.path, path) or _inside(path, output.path) for path in read)
        and Path(output.path).exists()
        and not _is_whole(output)
    ]
    found = [
        file.path
        for file in named(outputs)
        if any(_inside(file.path.as_posix(), path) for path in read)
        and file.path.is_file()
        and md5(file.path) != file.md5
    ]
    if found:
        listed = "\n".join(f"  {path}" for path in found)
        raise InputError(
            f"expected the content that {paths.LOCK} names, found another in:\n{listed}\n"
            "It was changed or damaged on disk. `python -m pipeline verify` says whether DVC's cache has it whole, and "
            "how to get it back."
        )


def _read_by_dvc() -> list[str]:
    """List what the DVC that started this process has locked for reading, relative to the checkout."""
    try:
        locked = json.loads(_RWLOCK.read_bytes())["read"]
    except (OSError, ValueError, KeyError):  # another DVC is just writing the file
        return []
    root = f"{Path.cwd().as_posix()}/"
    pids = {path.removeprefix(root): {reader["pid"] for reader in readers} for path, readers in locked.items()}
    # A shell may stand between DVC and this process: then what any DVC reads here is compared.
    return [path for path, readers in pids.items() if os.getppid() in readers] or list(pids)


def _is_whole(output: Output) -> bool:
    """Whether a folder has the hash that dvc.lock names; where it has not, only the cache knows which file differs."""
    return output.md5.endswith(".dir") and folder_hash(Path(output.path)) == output.md5


def folder_hash(folder: Path, pattern: str = "*") -> str:
    """Return the hash by which DVC knows a folder: the MD5 of the list of its files' names and MD5s.

    `pattern` leaves out files that DVC ignores.
    """
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    entries = [{"md5": md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files]
    listed = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True)
    return f"{hashlib.md5(listed.encode()).hexdigest()}.dir"


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


# --- every object -----------------------------------------------------------------------------------------------------


def named(outputs: Iterable[Output]) -> Iterator[File]:
    """The files of outputs; those of a folder are in an object of their own, without which it has none."""
    for output in outputs:
        if not output.md5.endswith(".dir"):
            yield File(Path(output.path), output.md5, output.stage)
            continue
        try:
            entries = json.loads(_object(output.md5).read_bytes())
            yield from (File(Path(output.path) / entry["relpath"], entry["md5"], output.stage) for entry in entries)
        except (OSError, ValueError, TypeError, KeyError):
            continue


class Verification(NamedTuple):
    """What came out of comparing all objects that dvc.lock names with their hashes."""

    objects: int
    """So many are in the cache."""
    bytes: int
    """Size of what was read."""
    missing: list[File]
    """Neither in the cache nor in the workspace: of another machine, or removed by `dvc gc`."""
    damaged: list[Damaged]


def verify(progress: Callable[[Iterable[File]], Iterable[File]]) -> Verification:
    """Read every object that dvc.lock names, and the files of the workspace that are not the same file.

    Parameters
    ----------
    progress
        Wraps the iteration over the files, one for each object.

    Raises
    ------
    InputError
        There is no dvc.lock.
    """
    if not paths.LOCK.is_file():
        raise InputError(f"{paths.LOCK}: expected the file that DVC writes, found none. Run `dvc repro`.")
    outputs = dvc_lock.outputs()
    folders = [File(Path(output.path), output.md5, output.stage) for output in outputs if output.md5.endswith(".dir")]
    files = list(dict.fromkeys([*folders, *named(outputs)]))
    whole: dict[str, bool] = {}  # by hash
    missing, damaged, size = [], [], 0
    for file in progress(files):
        if file.md5 not in whole and file.object.is_file():
            whole[file.md5] = md5(file.object) == file.md5.removesuffix(".dir")
            size += file.object.stat().st_size
        places = [] if whole.get(file.md5, True) else [file.object]
        if file.path.is_file():
            linked = file.object.is_file() and file.path.samefile(file.object)
            if not linked:
                size += file.path.stat().st_size
            if (linked and places) or (not linked and md5(file.path) != file.md5):
                places.append(file.path)
        elif not file.object.is_file() and not file.path.is_dir():
            missing.append(file)
        if places:
            damaged.append(Damaged(file, tuple(places)))
    return Verification(len(whole), size, missing, damaged)


def advice(damaged: Damaged, removed: bool) -> str:
    """Which file is damaged, where, and how to get it back once it is removed."""
    file, places = damaged
    where = " and ".join(map(str, places))
    if file.object in places:
        back = f"`dvc repro {file.stage}` makes it again, or `dvc pull {file.stage}` fetches it from a remote"
    elif file.object.is_file():
        back = f"`dvc checkout {file.stage}` restores it from the cache"
    else:
        back = f"`dvc repro {file.stage}` makes it again"
    return f"{file.path} ({where}): {'' if removed else 'once it is removed, '}{back}"


def remove(damaged: Iterable[Damaged]) -> None:
    """Remove damaged files from the cache and the workspace, and nothing else."""
    for one in damaged:
        for place in one.places:
            place.unlink(missing_ok=True)


def _object(digest: str) -> Path:
    return _cache(Path.cwd()) / digest[:2] / digest[2:]


@functools.cache
def _cache(checkout: Path) -> Path:
    """Return DVC's cache of files, by all levels of its configuration."""
    from dvc.config import Config

    return Path(Config(checkout / ".dvc", validate=False)["cache"].get("dir", ".dvc/cache")) / "files/md5"
