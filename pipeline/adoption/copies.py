"""A copy of a database: what is in it, and how it is to be studied."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import pandas as pd
from ruamel.yaml import YAML

from pipeline import lettering, paths
from pipeline.adoption.describe import describe, sizes_of
from pipeline.databases import readers
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, UnusableRows
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from pipeline.frames import frame_files
from pipeline.params import Annotation, Database, MissingFrames, Params
from pipeline.storage.digests import sha256

Face = Literal["crop", "none"]

# Releases of frames that are cropped to the face say so in their names; others may say that theirs are not.
_CROPPED = re.compile(r"crop|reg_", re.IGNORECASE)
_NOT_CROPPED = re.compile(r"uncrop\w*|(?<![a-z])(non?|not|before|without)[ _-]*crop\w*", re.IGNORECASE)


@dataclass(frozen=True)
class Copy:
    """A copy that can be used as it is."""

    profile: Profile
    root: Path
    reading: Reading
    sizes: list[tuple[int, int]]
    """Width and height of the onset frame of every recording, pixels."""
    settings: Database
    """Its section of params.yaml."""

    @property
    def areas(self) -> list[int]:
        """Pixels of a frame of each recording, once it is cropped to the face or not."""
        return [
            min(width, height) ** 2 if self.settings.face == "crop" else width * height for width, height in self.sizes
        ]


def locate(name: str, root: Path | None, before: Params) -> Path:
    """Folder of a copy: as given, or as params.yaml has it.

    Raises
    ------
    InputError
        It is not given, and params.yaml is about other databases.
    """
    if root is None:
        if name not in before.databases:
            raise InputError(f"expected the folder of {name}: python -m pipeline use {name} --from DIR")
        root = Path(before.databases[name].raw)
    return _absolute(root)


def examine(
    name: str,
    root: Path,
    annotated: Path | None,
    before: Params,
    classes: str,
    face: Face | None = None,
    missing_frames: MissingFrames | None = None,
) -> Copy:
    """Check a copy and print what is in it.

    Parameters
    ----------
    name
        A key of `PROFILES`, but not the embedded database.
    root
        Its folder, from `locate`.
    annotated
        Its annotation file; None to look for it, or for the one in params.yaml if `root` is the folder there.
    before
        The parameters so far: what they say of single clips of this database stays.
    classes
        A task of the database.
    face
        Whether its frames are to be cropped to the face; None for what was set before, or for what they seem to need.
    missing_frames
        `refuse`, or the most consecutive frames that a clip may lack; None for what params.yaml says.

    Raises
    ------
    InputError
        The copy cannot be used as it is: all its defects are listed.
    """
    last = before.databases.get(name)
    if annotated is not None:
        annotated = _absolute(annotated if annotated.exists() else root / annotated)
    elif last is not None and last.annotation.file != "auto" and root == Path(last.raw):
        annotated = root / last.annotation.file
    earlier = _last_run(name) if last is None else {}
    if last is None:
        # A clip that stands in the way of a copy may be listed before its database has a section of its own.
        given = [entry for database in before.databases.values() for entry in database.exclude]
    else:
        given = list(last.exclude)
    exclude = tuple(dict.fromkeys([*earlier.get("exclude", []), *given]))
    profile = PROFILES[name]
    allowed = missing_frames or (earlier.get("missing_frames", "refuse") if last is None else last.missing_frames)
    reading, foreign = _read(
        profile, classes, root, exclude, annotated, None if allowed == "refuse" else allowed, another=last is None
    )
    lettering.check({*reading.table["label"], *reading.table["clip"]})
    sizes = sizes_of(root, reading.table)
    describe(profile, root, reading, make_task({name: reading.table}, {name: profile}, classes), sizes)
    kept = tuple(entry for entry in exclude if entry not in foreign)
    if kept:
        click.echo(f"excluded in {paths.PARAMS}: {', '.join(kept)}")
    boxes = earlier.get("face_boxes", {}) if last is None else last.face_boxes
    known = set(reading.table["clip"])
    settings = Database(
        raw=str(root),
        annotation=_annotation(root, annotated),
        exclude=kept,
        missing_frames=allowed,
        face=face or _face(profile, root, reading.table, _face_before(name, root, last, earlier)),
        face_boxes={clip: tuple(box) for clip, box in boxes.items() if clip in known or last is not None},
    )
    return Copy(profile, root, reading, sizes, settings)


def check_apart(roots: dict[str, Path]) -> None:
    """Raise InputError where two databases lie in one folder, or one inside the other."""
    for name, root in roots.items():
        for other, folder in roots.items():
            if name != other and root.resolve().is_relative_to(folder.resolve()):
                raise InputError(
                    f"expected a folder of its own for each database, found {name} in {root} and {other} in {folder}. "
                    "Name the folder of each: what one of them holds must not be taken for the other's."
                )


def check_distinct(copies: Sequence[Copy]) -> None:
    """Raise InputError where clips of two databases are the same recording, by the bytes of their onset frames."""
    first: dict[str, tuple[str, str]] = {}
    doubles = []
    for copy in copies:
        name = copy.profile.name
        for clip, onset, folder in zip(*(copy.reading.table[key] for key in ("clip", "onset", "frames")), strict=True):
            digest = sha256(frame_files.numbered(copy.root / folder)[int(onset)])
            other, known = first.setdefault(digest, (name, clip))
            if other != name:
                doubles.append(f"{name} {clip} is {other} {known}")
    if doubles:
        raise InputError(
            f"expected recordings that no other database has, found {len(doubles)} with the same onset frame:\n"
            + "\n".join(f"  {double}" for double in doubles)
            + "\nThe same person would be trained on and tested. Name a folder without these clips, or exclude them."
        )


def _absolute(path: Path) -> Path:
    """As it was named, also if it is a link, but without `..`."""
    return Path(os.path.abspath(path))  # noqa: PTH100, resolve() would follow links


def _last_run(name: str) -> dict[str, Any]:
    """Settings with which a database was last indexed and interpolated: dvc.lock keeps those of every database."""
    values = {key: value for stage in ("index", "interpolate") for key, value in locked(f"{stage}@{name}").items()}
    section = f"databases.{name}."
    return {key.removeprefix(section): value for key, value in values.items() if key.startswith(section)}


def locked(stage: str) -> dict[str, Any]:
    """Parameters with which a stage last ran, as dvc.lock has them; none if it never did."""
    if not paths.LOCK.exists():
        return {}
    run = YAML(typ="safe").load(paths.LOCK)["stages"].get(stage, {})
    values: dict[str, Any] = run.get("params", {}).get("params.yaml", {})
    return values


def _read(
    profile: Profile,
    classes: str,
    root: Path,
    exclude: tuple[str, ...],
    annotated: Path | None,
    largest_gap: int | None,
    another: bool,
) -> tuple[Reading, set[str]]:
    """The copy's recordings, and entries of `exclude` that were meant for the database before, if it was `another`."""
    try:
        try:
            return readers.read(profile.name, root, exclude, annotated, largest_gap), set()
        except UnusableRows as error:
            foreign = set(error.reading.unknown_exclusions)
            if not another or not foreign:
                raise
            exclude = tuple(entry for entry in exclude if entry not in foreign)
            return readers.read(profile.name, root, exclude, annotated, largest_gap), foreign
    except UnusableRows as error:
        table = error.reading.table
        task = make_task({profile.name: table}, {profile.name: profile}, classes)
        if len(task.clips):
            describe(profile, root, error.reading, task, sizes_of(root, table))
        raise


def _annotation(root: Path, annotated: Path | None) -> Annotation:
    if annotated is None:
        return Annotation(file="auto", sha256="")
    if annotated.is_relative_to(root):
        return Annotation(file=annotated.relative_to(root).as_posix(), sha256="")
    return Annotation(file=str(annotated), sha256=sha256(annotated))


def _face_before(name: str, root: Path, last: Database | None, earlier: Mapping[str, Any]) -> Face | None:
    """Return what was set of a copy before, as far as it can be true of the one in `root`.

    Another copy of CASME II may be another release. A table has no releases: it was set by hand, wherever it lies.
    """
    face, raw = (last.face, last.raw) if last else (earlier.get("face"), earlier.get("raw", ""))
    return face if name == "table" or root == Path(raw) else None


def _face(profile: Profile, root: Path, table: pd.DataFrame, before: Face | None) -> Face:
    """Return what was set `before`, otherwise `none` for frames that seem to be cropped to the face; say why."""
    name = profile.name
    folder = root / table["frames"][0]
    file = next(iter(frame_files.numbered(folder).values())).relative_to(root)
    other = "none" if before == "crop" else "crop"
    change = f"To change it, add --face {other} (in a study of several databases --face {name}={other})"
    if before:
        click.echo(f"face: {before}, as before. {change}")
        return before
    if any(_CROPPED.search(_NOT_CROPPED.sub("", part)) for part in (root.name, *file.parts)):
        click.echo(f"face: none, because these frames seem to be cropped to the face ({file})")
        return "none"
    if profile.cropped:
        click.echo(f"face: none, because {name} is released with frames that are cropped to the face")
        return "none"
    if name == "table":
        click.echo(f"face: none, whole frames; where they show more than a face, they must be cropped. {change}")
        return "none"
    click.echo(f"face: crop, because these frames seem to be whole ({file})")
    return "crop"
