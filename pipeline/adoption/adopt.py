"""Adopt a study: check the copies of its databases, show what is in them, and write its settings into params.yaml."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from pipeline import paths
from pipeline.adoption.copies import Copy, Face, check_apart, check_distinct, examine, locate, locked
from pipeline.adoption.describe import write_contact_sheet
from pipeline.adoption.estimate import estimate
from pipeline.databases import megc2019
from pipeline.databases.layouts import LAYOUTS
from pipeline.databases.profiles import COMPOSITE_SETTINGS, PROFILES, StudySettings, profile_of
from pipeline.databases.task import StudyClips, dataset_name, make_task, task_named
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.flow.estimators import METHODS
from pipeline.params import Annotation, Database, MissingFrames, Params, load_params, parse_params
from pipeline.storage import params_file
from pipeline.storage.outputs import staged


@dataclass(frozen=True)
class Protocol:
    """Which subjects are tested in which fold, as `--protocol` and `--folds` say."""

    name: str = protocols.LOSO
    count: int | None = None
    """Number of folds, for `k-fold`."""

    def fold_names(self, subjects: Sequence[str], databases: Sequence[str]) -> tuple[str, ...]:
        """Return the names of all folds; InputError where the study cannot have them."""
        if (self.count is not None) != (self.name == protocols.K_FOLD):
            raise InputError(
                f"--folds: expected with --protocol k-fold and only there; found --protocol {self.name} "
                + (f"--folds {self.count}" if self.count else "without --folds")
            )
        return protocols.fold_names(self.name, subjects, databases, self.count or 0)


COMPOSITE = "composite"
"""Name of a study of several databases, unless it is given another one."""


def use(
    name: str,
    root: Path | None = None,
    annotated: Path | None = None,
    method: str | None = None,
    classes: str = "own",
    check: bool = False,
    protocol: Protocol = Protocol(),
    face: Face | None = None,
    missing_frames: MissingFrames | None = None,
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
        A task of the database, by its name or its number of classes: `own`, `seven`, `7`.
    check
        Only say what would be changed.
    protocol
        Which subjects are tested in which fold.
    face
        Whether frames are to be cropped to the face; None for what was set before, or for what they seem to need.
    missing_frames
        `refuse`, or the most consecutive frames that a clip may lack; None for what params.yaml says.

    Raises
    ------
    InputError
        The copy cannot be used as it is: all its defects are listed, and nothing is written.
    """
    if name not in PROFILES:
        raise InputError(f"expected one of the databases {', '.join(PROFILES)}; found {name}")
    _check_method(method)
    before = load_params(paths.PARAMS)
    classes = task_named(profile_of(name, before.synthesize.layout), classes)
    dataset = dataset_name(name, classes)
    if name == "synthetic":
        if root or annotated or face or missing_frames:
            raise InputError(
                "the synthetic dataset is made by the stage synthesize: it has no folder to name, and shows faces only"
            )
        settings = PROFILES[name].settings
        database, subjects = _synthetic(before)
        values = _values(dataset, {name: database}, classes, subjects, protocol, settings, method)
        _adopt(before, values, check)
        return
    copy = examine(name, locate(name, root, before), annotated, before, classes, face, missing_frames)
    task = make_task({name: copy.reading.table}, {name: copy.profile}, classes)
    _study(before, dataset, classes, [copy], task, copy.profile.settings, method, check, protocol)


def use_composite(
    name: str,
    roots: Mapping[str, Path],
    annotated: Mapping[str, Path],
    method: str | None = None,
    accepted: Sequence[str] = (),
    check: bool = False,
    protocol: Protocol = Protocol(),
    faces: Mapping[str, Face] | None = None,
    missing_frames: Mapping[str, MissingFrames] | None = None,
) -> None:
    """Check the copies of several databases and study them as one from now on, in the three classes of MEGC 2019.

    Parameters
    ----------
    name
        Of the dataset; the clips of `megc2019` must be those of the official list.
    roots
        Folder of each database. A database of megc2019 that is not given is looked for in params.yaml.
    annotated
        Annotation files, by database, that are not to be looked for.
    method
        `flow.method` to use instead of the usual one.
    accepted
        Clips in which megc2019 may differ from the list.
    check
        Only say what would be changed.
    protocol
        Which subjects are tested in which fold.
    faces
        As `face` of `use`, by database.
    missing_frames
        As in `use`, by database.

    Raises
    ------
    InputError
        A copy cannot be used as it is, the databases are not what the study is made of, or two of them share a folder
        or a recording; nothing is written.
    """
    _check_method(method)
    before = load_params(paths.PARAMS)
    official = name == megc2019.NAME
    wanted = megc2019.DATABASES if official else tuple(roots)
    if official and (strangers := sorted(set(roots) - set(wanted))):
        raise InputError(f"{name} is made of {', '.join(wanted)}; found {', '.join(strangers)}, too")
    if missing := [database for database in wanted if database not in roots and database not in before.databases]:
        options = " ".join(f"--{database} DIR" for database in wanted)
        raise InputError(
            f"expected the folders of {', '.join(wanted)}, found none of {', '.join(missing)}: "
            f"python -m pipeline use {name} {options}"
        )
    if len(wanted) < 2:
        raise InputError(
            f"expected the folders of at least two databases, found {', '.join(wanted) or 'none'}: "
            "python -m pipeline use composite --casme2 DIR --smic DIR. "
            "One database in these classes: python -m pipeline use casme2 --classes three --from DIR"
        )
    if accepted and not official:
        raise InputError(f"--accept: expected with {megc2019.NAME}, whose clips are those of a list; found with {name}")
    if strangers := sorted(set(annotated) - set(wanted)):
        raise InputError(f"--annotation: expected one of {', '.join(wanted)}; found {', '.join(strangers)}")
    faces, gaps = faces or {}, missing_frames or {}
    for option, given in (("--face", faces), ("--missing-frames", gaps)):
        if strangers := sorted(set(given) - set(wanted)):
            raise InputError(f"{option}: expected one of {', '.join(wanted)}; found {', '.join(strangers)}")
    folders = {database: locate(database, roots.get(database), before) for database in sorted(wanted)}
    check_apart(folders)
    copies = [
        examine(*(database, folder, annotated.get(database), before, "three"), faces.get(database), gaps.get(database))
        for database, folder in folders.items()
    ]
    check_distinct(copies)
    task = make_task(
        {copy.profile.name: copy.reading.table for copy in copies},
        {copy.profile.name: copy.profile for copy in copies},
        "three",
    )
    click.echo(f"{name}: {len(task.clips)} clips of {task.clips['subject'].nunique()} subjects\n")
    counts = pd.crosstab(task.clips["database"], task.clips["label"], margins=True, margins_name="All clips")
    click.echo(counts.rename_axis(index=None, columns="clips").to_string() + "\n")
    kept = _accepted(before, accepted) if official else ()
    if official:
        found = megc2019.study_differences(
            task.clips,
            {copy.profile.name: copy.reading.table for copy in copies},
            {copy.profile.name: copy.settings.exclude for copy in copies},
            kept,
            megc2019.official(),
        )
        megc2019.check(found, kept)
        click.echo("The clips are those of the official list" + (", but for:" if kept else ""))
        for sentence in found.sentences():
            click.echo(f"  {sentence}")
    _study(before, name, "three", copies, task, COMPOSITE_SETTINGS, method, check, protocol, kept)


def _check_method(method: str | None) -> None:
    if method not in (None, *METHODS):
        raise InputError(f"--flow: expected one of {', '.join(METHODS)}; found {method}")


def _accepted(before: Params, given: Sequence[str]) -> tuple[str, ...]:
    """Clips in which megc2019 may differ: those given, and those of its last run."""
    last = (
        before.accepted
        if before.clip_selection == megc2019.NAME
        else locked(f"task@{megc2019.NAME}").get("accepted", [])
    )
    return tuple(dict.fromkeys([*last, *given]))


def _study(
    before: Params,
    dataset: str,
    classes: str,
    copies: Sequence[Copy],
    task: StudyClips,
    settings: StudySettings,
    method: str | None,
    check: bool,
    protocol: Protocol,
    accepted: Sequence[str] = (),
) -> None:
    """Write the settings of a study of these copies, draw some of its clips, and estimate what it takes."""
    databases = {copy.profile.name: copy.settings for copy in copies}
    subjects = sorted(task.clips["subject"].unique())
    names = protocol.fold_names(subjects, tuple(databases))
    protocols.check(task.clips, protocols.folds(protocol.name, names, task.clips))
    values = _values(dataset, databases, classes, subjects, protocol, settings, method, accepted)
    after = _adopt(before, values, check)
    if not check:
        sheet = paths.contact_sheet(after.dataset)
        write_contact_sheet(sheet, task, databases)
        click.echo(f"\nOne clip of each class to look at: {sheet}")
    if after.head_motion == "keep":
        click.echo(
            "head_motion: keep, as in published results, which say nothing of it; but a head that moves by a pixel "
            "hides an expression. To try without: dvc exp run -S head_motion=affine"
        )
    estimate(after, task.clips, [area for copy in copies for area in copy.areas], resolve_device(after.runtime.device))


def _synthetic(before: Params) -> tuple[Database, list[str]]:
    """The section of the embedded database, and the subjects that it will have."""
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
        missing_frames="refuse",
        face="none",
        face_boxes={} if last is None else last.face_boxes,
    )
    return database, sorted(subjects)


def _values(
    dataset: str,
    databases: Mapping[str, Database],
    classes: str,
    subjects: list[str],
    protocol: Protocol,
    settings: StudySettings,
    method: str | None,
    accepted: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that adopting a study writes, key by key of params.yaml."""
    folds = protocol.fold_names(subjects, tuple(databases))
    augmentation = {
        "scales": list(settings.scales),
        "horizontal_flip": settings.horizontal_flip,
        "views": settings.views,
    }
    training = {"epochs": settings.epochs, "lr": settings.lr, "weight_decay": settings.weight_decay}
    return {
        "databases": {name: _section(database) for name, database in databases.items()},
        "dataset": dataset + protocols.suffix(protocol.name, len(folds)),
        "classes": classes,
        "accepted": list(accepted),
        "subjects": subjects,
        "protocol": protocol.name,
        "folds": list(folds),
        **{f"train.{key}": value for key, value in training.items()},
        "lambda": settings.lambda_,
        **{f"train.augmentation.{key}": value for key, value in augmentation.items()},
        # The network that shares STANet's augmentation and optimiser is trained as long.
        **{f"networks.cnn_lstm.{key}": value for key, value in (training | augmentation).items()},
        "flow.method": method or settings.flow,
        "head_motion": settings.head_motion,
    }


def _section(database: Database) -> dict[str, Any]:
    section = dataclasses.asdict(database)
    section["exclude"] = list(database.exclude)
    section["face_boxes"] = {clip: list(box) for clip, box in database.face_boxes.items()}
    return section


def _adopt(before: Params, values: dict[str, Any], check: bool) -> Params:
    """Write new values into params.yaml; gives its content then. Nothing is written if they are not valid together."""
    if before.dataset != values["dataset"]:
        values |= {"report.clips": [], "held_out": "all"}
    elif before.held_out != "all" and not set(before.held_out) <= set(values["folds"]):
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
