"""Adopt a database: check a copy of it, show what is in it, and write its settings into params.yaml."""

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

import click
import pandas as pd
from ruamel.yaml import YAML

from pipeline import paths
from pipeline.adoption.describe import describe, sizes_of, write_contact_sheet
from pipeline.adoption.estimate import estimate
from pipeline.databases import readers
from pipeline.databases.layouts import LAYOUTS
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, UnusableRows
from pipeline.databases.task import dataset_name, make_task
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import loso
from pipeline.flow.estimators import METHODS
from pipeline.frames import frame_files
from pipeline.params import Annotation, Database, Params, load_params, parse_params
from pipeline.storage import params_file
from pipeline.storage.digests import sha256
from pipeline.storage.outputs import staged

# Releases of frames that are cropped to the face say so in their names.
_CROPPED = "crop", "reg_"


def use(
    name: str,
    root: Path | None = None,
    annotated: Path | None = None,
    method: str | None = None,
    classes: str = "own",
    check: bool = False,
) -> None:
    """Check the copy of a database and study it from now on.

    Parameters
    ----------
    name
        A key of `PROFILES`.
    root
        Its folder; None for the one in params.yaml, if that is of the same database.
    annotated
        Its annotation file; None to look for it.
    method
        `flow.method` to use instead of the database's own.
    classes
        `own` or `three`.
    check
        Only say what would be changed.

    Raises
    ------
    InputError
        The copy cannot be used as it is: all its defects are listed, and nothing is written.
    """
    if name not in PROFILES:
        raise InputError(f"expected one of the databases {', '.join(PROFILES)}; found {name}")
    if method not in (None, *METHODS):
        raise InputError(f"--flow: expected one of {', '.join(METHODS)}; found {method}")
    before = load_params(paths.PARAMS)
    device = resolve_device(before.runtime.device)
    if name == "synthetic":
        if root or annotated:
            raise InputError("the synthetic dataset is made by the stage synthesize: it has no folder to name")
        _adopt(before, _synthetic(before, classes, method), check)
        return
    last = before.databases.get(name)
    if root is None:
        if last is None:
            raise InputError(f"expected the folder of {name}: python -m pipeline use {name} --from DIR")
        root = Path(last.raw)
        if annotated is None and last.annotation.file != "auto":
            annotated = root / last.annotation.file
    root = _absolute(root)
    if annotated is not None:
        annotated = _absolute(annotated if annotated.exists() else root / annotated)
    earlier = _last_run(name) if last is None else {}
    given = [entry for database in before.databases.values() for entry in database.exclude]
    exclude = tuple(dict.fromkeys([*earlier.get("exclude", []), *given]))
    profile = PROFILES[name]
    reading, foreign = _read(profile, classes, root, exclude, annotated, another=last is None)
    task = make_task({name: reading.table}, {name: profile}, classes)
    sizes = sizes_of(root, reading.table)
    describe(profile, root, reading, task, sizes)
    loso.check(task.clips)
    kept = tuple(entry for entry in exclude if entry not in foreign)
    if kept:
        click.echo(f"excluded in {paths.PARAMS}: {', '.join(kept)}")
    boxes = earlier.get("face_boxes", {}) if last is None else last.face_boxes
    known = set(reading.table["clip"])
    database = Database(
        raw=str(root),
        annotation=_annotation(root, annotated),
        exclude=kept,
        face=_face(name, root, reading.table),
        face_boxes={clip: tuple(box) for clip, box in boxes.items() if clip in known or last is not None},
    )
    subjects = sorted(task.clips["subject"].unique())
    after = _adopt(before, _values(name, database, classes, subjects, method), check)
    if not check:
        sheet = paths.contact_sheet(after.dataset)
        write_contact_sheet(sheet, root, task, database)
        click.echo(f"\nOne clip of each class to look at: {sheet}")
    if after.head_motion == "keep":
        click.echo(
            "head_motion: keep, because the paper says nothing about it; but a head that moves by a pixel hides an "
            "expression. To try without: dvc exp run -S head_motion=affine"
        )
    estimate(after, task.clips, sizes, database.face, device)


def _absolute(path: Path) -> Path:
    """As it was named, also if it is a link, but without `..`."""
    return Path(os.path.abspath(path))  # noqa: PTH100, resolve() would follow links


def _last_run(name: str) -> dict[str, Any]:
    """Settings with which a database was last indexed and interpolated: dvc.lock keeps those of every database."""
    if not paths.LOCK.exists():
        return {}
    stages = YAML(typ="safe", pure=True).load(paths.LOCK)["stages"]
    runs = [stages.get(f"{stage}@{name}", {}) for stage in ("index", "interpolate")]
    values = {key: value for run in runs for key, value in run.get("params", {}).get("params.yaml", {}).items()}
    section = f"databases.{name}."
    return {key.removeprefix(section): value for key, value in values.items() if key.startswith(section)}


def _read(
    profile: Profile, classes: str, root: Path, exclude: tuple[str, ...], annotated: Path | None, another: bool
) -> tuple[Reading, set[str]]:
    """The copy's recordings, and entries of `exclude` that were meant for the database before, if it was `another`."""
    try:
        try:
            return readers.read(profile.name, root, exclude, annotated), set()
        except UnusableRows as error:
            foreign = set(error.reading.unknown_exclusions)
            if not another or not foreign:
                raise
            exclude = tuple(entry for entry in exclude if entry not in foreign)
            return readers.read(profile.name, root, exclude, annotated), foreign
    except UnusableRows as error:
        table = error.reading.table
        task = make_task({profile.name: table}, {profile.name: profile}, classes)
        if len(task.clips):
            describe(profile, root, error.reading, task, sizes_of(root, table))
        raise


def _synthetic(before: Params, classes: str, method: str | None) -> dict[str, Any]:
    template = LAYOUTS[before.synthesize.layout].clip
    subjects = {
        template.format(subject=number, name="", onset="").split("/")[0]
        for number in range(1, before.synthesize.subjects + 1)
    }
    last = before.databases.get("synthetic")
    database = Database(
        raw=paths.SYNTHETIC.as_posix(),
        annotation=Annotation(file="auto", sha256=""),
        exclude=() if last is None else last.exclude,
        face="none",
        face_boxes={} if last is None else last.face_boxes,
    )
    return _values("synthetic", database, classes, sorted(subjects), method)


def _values(name: str, database: Database, classes: str, subjects: list[str], method: str | None) -> dict[str, Any]:
    """Everything that adopting a database writes, key by key of params.yaml."""
    section = dataclasses.asdict(database)
    section["exclude"] = list(database.exclude)
    section["face_boxes"] = {clip: list(box) for clip, box in database.face_boxes.items()}
    settings = PROFILES[name].settings
    return {
        "databases": {name: section},
        "dataset": dataset_name(name, classes),
        "classes": classes,
        "subjects": subjects,
        "train.epochs": settings.epochs,
        "train.lr": settings.lr,
        "train.weight_decay": settings.weight_decay,
        "lambda": settings.lambda_,
        "train.augmentation.scales": list(settings.scales),
        "train.augmentation.horizontal_flip": settings.horizontal_flip,
        "train.augmentation.views": settings.views,
        "flow.method": method or settings.flow,
        "head_motion": settings.head_motion,
    }


def _annotation(root: Path, annotated: Path | None) -> Annotation:
    if annotated is None:
        return Annotation(file="auto", sha256="")
    if annotated.is_relative_to(root):
        return Annotation(file=annotated.relative_to(root).as_posix(), sha256="")
    return Annotation(file=str(annotated), sha256=sha256(annotated))


def _adopt(before: Params, values: dict[str, Any], check: bool) -> Params:
    """Write new values into params.yaml; gives its content then. Nothing is written if they are not valid together."""
    if before.dataset != values["dataset"]:
        values |= {"report.clips": [], "held_out": "all"}
    elif before.held_out != "all" and not set(before.held_out) <= set(values["subjects"]):
        values["held_out"] = "all"
    text, changes = params_file.changed(paths.PARAMS, values)
    after = parse_params(text, paths.PARAMS)
    if not changes:
        click.echo(f"{paths.PARAMS} stays as it is")
        return after
    click.echo(f"{paths.PARAMS} would change:" if check else f"{paths.PARAMS}:")
    for change in changes:
        click.echo(f"  {change}")
    if not check:
        with staged(paths.partial("use"), paths.PARAMS) as [draft]:
            draft.write_text(text, encoding="utf-8")
    return after


def _face(name: str, root: Path, table: pd.DataFrame) -> Literal["crop", "none"]:
    """`none` for a release whose frames are cropped to the face, `crop` for a raw one; printed with the reason."""
    folder = root / table["frames"][0]
    file = next(iter(frame_files.numbered(folder).values()))
    hints = [
        word for word in _CROPPED if any(word in part.lower() for part in (root.name, *file.relative_to(root).parts))
    ]
    if hints:
        click.echo(f"face: none, because these frames seem to be cropped to the face ({file.relative_to(root)})")
        return "none"
    if name == "table":
        click.echo("face: none; if the frames show more than a face, set `face: crop`")
        return "none"
    click.echo(f"face: crop, because these frames seem to be whole ({file.relative_to(root)})")
    return "crop"
