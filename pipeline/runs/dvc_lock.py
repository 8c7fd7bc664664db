"""dvc.lock, kept whole: DVC writes it in place, so that a run which is stopped at that moment leaves it cut off.

A good version is kept beside the resumable work whenever a stage starts: DVC has then written all that came before. A
damaged dvc.lock is put together again from what is intact in it, that copy, and the versions that git has. The entry
that DVC was about to write is not among them, but in DVC's run cache, from which the next run restores it.
"""

import io
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import paths
from pipeline.errors import InputError
from pipeline.storage.outputs import NO_ROOM

_ENTRY = re.compile(r"^  (?=[^\s-])", re.MULTILINE)
"""Where the entry of a stage begins, in the form in which DVC writes the file."""
_OUT = re.compile(
    r"^    - path: (.*)\n      hash: md5\n      md5: '?([0-9a-f]{32}(?:\.dir)?)'?\n      size: \d+\n", re.MULTILINE
)
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


class Version(NamedTuple):
    """A good version of dvc.lock."""

    text: str
    source: str
    """Where it was found, as it is called in messages."""
    time: float
    """When the file had this content, in seconds since the epoch."""


class Output(NamedTuple):
    """A file or folder that a stage wrote."""

    stage: str
    path: str
    """Relative to the checkout."""
    md5: str
    """Of its content; for a folder of the list of its files, with `.dir`."""


def outputs() -> list[Output]:
    """What dvc.lock names, of all datasets; nothing without the file. Read from its form alone, in milliseconds."""
    if not paths.LOCK.is_file():
        return []
    found = []
    for stage, entry in _entries(paths.LOCK.read_text(encoding="utf-8", errors="replace")):
        outs = entry.partition("\n    outs:\n")[2]
        found += [Output(stage, path.strip("'\""), digest) for path, digest in _OUT.findall(outs)]
    return found


def keep(checked: bool = False) -> None:
    """Keep a copy of dvc.lock, if there is a new version and it is whole; `checked` says that it is.

    Whether it is whole is seen from its form alone, in a millisecond: DVC has just read or written it. Called in a copy
    of the checkout that borrows the resumable work of another one, it does nothing.

    Raises
    ------
    InputError
        The disk is full.
    """
    folder = paths.kept_lock().parent
    if not paths.LOCK.is_file() or folder.is_symlink():
        return
    time, content = paths.LOCK.stat().st_mtime, paths.LOCK.read_bytes()
    kept = _kept()
    if (kept and kept.text.encode() == content) or (not checked and _fault_of_form(content, kept)):
        return
    _write(paths.kept_lock(), content)
    os.utime(paths.kept_lock(), (time, time))


def fault() -> str | None:
    """What is wrong with dvc.lock, or None.

    A cut at the end of a line may leave a file that is valid but lacks entries, and DVC goes on with it: it is told by
    the copy that was kept, unless git has just this version.

    Raises
    ------
    InputError
        It has the marks of a merge that git could not finish: only a person knows what is right.
    """
    if not paths.LOCK.is_file():
        return None
    content, kept = paths.LOCK.read_bytes(), _kept()
    if kept and kept.text.encode() == content:
        return None
    if _CONFLICT.search(content.decode(errors="replace")):
        raise InputError(
            f"{paths.LOCK}: expected a file without marks of a merge (<<<<<<<), found some. Take either side "
            f"(git checkout --ours {paths.LOCK}) and run `dvc repro`, which restores what it has in its cache."
        )
    if found := _fault_of_content(content):
        return found
    found = _fault_of_form(content, kept)
    return None if found is None or any(version.text.encode() == content for version in _of_git()) else found


def mend() -> str:
    """Put dvc.lock together again; what it held is kept beside the copy. Gives what was done.

    To be called while no DVC writes the file.

    Raises
    ------
    InputError
        The disk is full.
    """
    damaged = paths.LOCK.read_bytes()
    versions = sorted([*filter(None, [_kept()]), *_of_git()], key=lambda version: version.time, reverse=True)
    intact = dict(_intact(damaged, _kept()))
    document: dict[str, Any] = {"schema": "2.0", "stages": {}}
    if versions:
        document = _yaml().load(versions[0].text)
    stages: dict[str, Any] = document["stages"]
    stages.update(intact)
    counts = [f"{len(intact)} of the file itself"]
    for version in versions:
        entries = _yaml().load(version.text)["stages"]
        new = [name for name in entries if name not in stages]
        stages.update({name: entries[name] for name in new})
        used = len(entries.keys() - intact.keys()) if version is versions[0] else len(new)
        counts += [f"{used} of {version.source}"] if used else []
    text = io.StringIO()
    _yaml().dump(document, text)
    _write(paths.damaged_lock(), damaged)
    _write(paths.LOCK, text.getvalue().encode())
    found = ", ".join(counts)
    return f"{paths.LOCK} is whole again with {len(stages)} entries: {found}. What it held: {paths.damaged_lock()}"


def _fault_of_content(content: bytes) -> str | None:
    """Why a file is not one of DVC's, or None."""
    if not content.strip():
        return "it is empty"
    try:
        stages = YAML(typ="safe").load(content.decode("utf-8"))["stages"]
        for name, entry in stages.items():
            if "cmd" not in entry:
                return f"the entry {name} is not complete"
    except (YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        return f"it cannot be read ({type(error).__name__})"
    return None


def _fault_of_form(content: bytes, kept: Version | None) -> str | None:
    """Why a file seems to be cut off, or None."""
    text = content.decode("utf-8", errors="replace")
    if not text.startswith("schema:") or not text.endswith("\n"):
        return "it is cut off"
    entries = _entries(text)
    if not entries:
        return "it has no entry"
    name, last = entries[-1]
    if not _is_complete(last):
        return f"its last entry, {name}, is cut off"
    if kept is None:
        return None
    before = dict(_entries(kept.text))
    if missing := before.keys() - dict(entries):
        return f"entries are missing, {', '.join(sorted(missing))}"
    if len(_OUT.findall(before.get(name, ""))) > len(_OUT.findall(last)):
        return f"its last entry, {name}, is cut off"
    return None


def _entries(text: str) -> list[tuple[str, str]]:
    """Name and text of every stage, in order, from the form of the file alone."""
    head, *blocks = _ENTRY.split(text.partition("\nstages:\n")[2])
    return [(block.partition(":")[0], f"  {block}") for block in blocks] if not head.strip() else []


def _is_complete(entry: str) -> bool:
    """Whether the entry of a stage has all its parts, and every output its hash and size."""
    _, _, outs = entry.partition("\n    outs:\n")
    return bool(outs) and len(_OUT.findall(outs)) == len(re.findall(r"^    - ", outs, re.MULTILINE))


def _intact(content: bytes, kept: Version | None) -> Iterator[tuple[str, Any]]:
    """Entries of a damaged file that are whole, with as many outputs as in the copy that was kept."""
    text = re.split("[\0\ufffd]", content.decode("utf-8", errors="replace"))[0]
    before = dict(_entries(kept.text)) if kept else {}
    for name, block in _entries(text):
        if not _is_complete(block) or len(_OUT.findall(before.get(name, ""))) > len(_OUT.findall(block)):
            continue
        with suppress(YAMLError):
            yield name, _yaml().load(f"stages:\n{block}")["stages"][name]


def _kept() -> Version | None:
    """The copy that was kept, unless there is none or it is damaged itself."""
    try:
        content = paths.kept_lock().read_bytes()
        time = paths.kept_lock().stat().st_mtime
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if _fault_of_form(content, None) else Version(text, "the copy that was kept", time)


def _of_git() -> list[Version]:
    """The version that git has staged (DVC does that at the end of a run), and the committed one."""
    versions = []
    for revision, source in (("", "git's index"), ("HEAD", "the last commit")):
        shown = _git("show", f"{revision}:./{paths.LOCK}")
        if shown and _fault_of_content(shown) is None:
            versions.append(Version(shown.decode(), source, _staged_at() if not revision else 0))
    return versions


def _staged_at() -> float:
    """When the file was written that git has staged."""
    found = re.search(rb"mtime: (\d+):(\d+)", _git("ls-files", "--debug", str(paths.LOCK)))
    return int(found[1]) + int(found[2]) / 1e9 if found else 0


def _git(*arguments: str) -> bytes:
    """Output of a git command, empty where it fails."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True).stdout
    except OSError:
        return b""


def _yaml() -> YAML:
    """As DVC reads and writes the file: what nobody changes keeps its bytes."""
    yaml = YAML()
    yaml.default_flow_style = False
    return yaml


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=paths.kept_lock().parent, prefix="draft-")  # stages may start side by side
    try:
        with open(handle, "wb") as stream:  # noqa: PTH123 -- a handle, not a path
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise InputError(f"cannot write {path}: {os.strerror(error.errno)}. Free disk space, run again.") from error
        raise
