"""Is what lies on disk what dvc.lock says? Of the inputs of a stage, and of every object in DVC's cache.

DVC takes a file of its cache for good once it is there, and a file of the workspace may be that same file under another
name (a hard link): a flipped byte would go into every later result without a word.
"""

import configparser
import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import paths
from pipeline.errors import InputError
from pipeline.runs import dvc_lock
from pipeline.runs.dvc_lock import Output
from pipeline.storage.digests import md5

_DERIVED = ("data/", "models/", "results/")


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


def check_inputs(script: str, arguments: Sequence[str], stage: str = "") -> None:
    """Compare what a stage reads of other stages with the hashes in dvc.lock.

    Parameters
    ----------
    script, arguments
        The script of the stage and what it was called with. dvc.yaml says which files these arguments stand for.
    stage
        Name of the stage in dvc.yaml; empty for every stage with such a command.

    Raises
    ------
    InputError
        A file has another content; all of them are listed.
    """
    wanted = _inputs(script, arguments, stage)
    found = [
        file.path
        for file in named(dvc_lock.outputs())
        if any(_inside(file.path.as_posix(), path) for path in wanted)
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


def _inputs(script: str, arguments: Sequence[str], stage: str) -> list[str]:
    """What a command depends on of other stages' outputs: files and folders."""
    yaml = YAML(typ="safe")
    try:
        params = yaml.load(paths.PARAMS)
        stages = yaml.load(Path("dvc.yaml"))["stages"]
        found = []
        for declared in [stages[stage]] if stage in stages else stages.values():
            declared = declared.get("do", declared)
            names = _named(declared["cmd"], script, arguments)
            if names is None:
                continue
            database = params["databases"].get(names.get("key"), {})
            names |= {"item.raw": str(database.get("raw", ""))}
            names |= dict.fromkeys(("dataset", "item.dataset"), str(params["dataset"]))
            for dependency in declared.get("deps", []):
                for name, value in names.items():
                    dependency = dependency.replace(f"${{{name}}}", value)
                found += [dependency] if dependency.startswith(_DERIVED) else []
    except (OSError, YAMLError, KeyError, TypeError, AttributeError):
        return []  # the stage says better what is wrong
    return found


def _named(template: str, script: str, arguments: Sequence[str]) -> dict[str, str] | None:
    """What each variable in the command of a stage is in a call of its script; None for a call of another stage."""
    _, _, module, *words = shlex.split(template)  # stages/python -m stages.train stanet ${item.fold}
    if module != f"stages.{script}" or len(words) != len(arguments):
        return None
    names = {}
    for word, value in zip(words, arguments, strict=True):
        if word.startswith("${"):
            names[word[2:-1]] = value
        elif word != value:
            return None
    return names


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
    return _cache() / digest[:2] / digest[2:]


def _cache() -> Path:
    """DVC's cache of files; a setting of this checkout alone counts before the one that git has."""
    config = configparser.ConfigParser(strict=False)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc") / config.get("cache", "dir", fallback="cache").strip("'\"") / "files/md5"
