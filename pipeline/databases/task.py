"""What is studied: the clips of one database, or of several, in the classes of a task.

Everything up to the optical flow belongs to a database and knows no task, so that several datasets made of one database
share it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.databases.profiles import Profile
from pipeline.errors import InputError
from pipeline.storage.n_missing import COLUMN as MISSING
from pipeline.storage.parts import prefix

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StudyClips:
    """The clips of a dataset and their classes."""

    clips: "pd.DataFrame"
    """The columns of recordings.csv, with `label` in the classes of the task, and `database`; sorted by clip."""
    classes: tuple[str, ...]
    """In the order of the network's outputs."""
    left_out: Counter[str]
    """Number of clips by label that the task does not use; where there are several databases, by database and label."""


NUMBERS = {"three": 3, "six": 6, "seven": 7}
"""How many classes the tasks have whose names say it."""


def dataset_name(database: str, classes: str) -> str:
    """Return the name of the dataset that one database makes: its own, or `casme2-3` with the composite's classes."""
    return f"{database}-{NUMBERS[classes]}" if classes in NUMBERS else database


def task_named(profile: Profile, given: str) -> str:
    """Return the name of a database's task from its name or its number of classes, `seven` or `7`.

    Raises
    ------
    InputError
        The database has no such task; those that it has are listed.
    """
    if given in profile.tasks:
        return given
    # Its own task first; the composite's three classes are those of its rule, whatever else has three.
    sizes = {name: str(len(profile.classes_of(name)) or "") for name in profile.tasks}
    found = [name for name, size in sizes.items() if given and size == given and (name == "three" or given != "3")]
    if not found:
        known = ", ".join(f"{name} ({size})" if size else name for name, size in sizes.items())
        raise InputError(f"classes: expected a task of {profile.name}, {known}; found {given}")
    return found[0]


def make_task(recordings: Mapping[str, "pd.DataFrame"], profiles: Mapping[str, Profile], classes: str) -> StudyClips:
    """Choose and label the clips of a study.

    Parameters
    ----------
    recordings
        Table of the recordings by database.
    profiles
        By database.
    classes
        `own` or another task of the database; `three`: those of the MEGC 2019 composite, which several databases share.

    Raises
    ------
    InputError
        A database has no such classes.
    """
    import pandas as pd  # here, because params.yaml is checked with `dataset_name` in stages that read no table

    several = len(recordings) > 1
    tables, left_out = [], Counter[str]()
    for database, table in recordings.items():
        before = prefix(database, several)
        label = _classes_of(table, profiles[database], classes)
        left_out.update(before + name for name in table["label"][label.isna()])
        used = table.assign(label=label, database=database)[label.notna()]
        tables.append(used.assign(clip=before + used["clip"], subject=before + used["subject"]))
    clips = pd.concat(tables).sort_values("clip", ignore_index=True)
    if MISSING in clips:  # a database whose clips lack no frame has no such column
        clips[MISSING] = pd.to_numeric(clips[MISSING]).fillna(0).astype(int)
    first = next(iter(profiles.values()))
    names = first.classes_of(classes) or tuple(sorted(clips["label"].unique()))
    return StudyClips(clips, names, left_out)


def check_subjects(clips: StudyClips, listed: Sequence[str], protocol: str, dataset: str) -> None:
    """Compare the subjects of params.yaml with those of the clips.

    DVC reads dvc.yaml before anything runs, so the lists of subjects and folds must stand in params.yaml.

    Raises
    ------
    InputError
        They are not the same; the message has the right line.
    """
    found = sorted(clips.clips["subject"].unique())
    if sorted(listed) == found:
        return
    line = f"[{', '.join(json.dumps(subject) for subject in found)}]"
    raise InputError(
        f"params.yaml: `subjects` is not the list of subjects of {dataset}\n"
        f"  in params.yaml: {', '.join(listed)}\n"
        f"  found: {', '.join(found)}\n"
        + ("Put this line" if protocol != "loso" else "With protocol: loso, every subject is a fold. Put these lines")
        + f" into params.yaml and run again:\nsubjects: {line}"
        + (f"\nfolds: {line}" if protocol == "loso" else "")
    )


def _classes_of(table: "pd.DataFrame", profile: Profile, classes: str) -> "pd.Series[str]":
    """Class of each recording in the task, missing where the task does not use it."""
    if classes not in profile.tasks:
        labels = ", ".join(profile.classes)
        reason = f": MEGC 2019 does not say which of its labels ({labels}) are negative, positive or surprise"
        raise InputError(
            f"params.yaml: classes: expected {' or '.join(profile.tasks)} for {profile.name}, found {classes}"
            + reason * (classes == "three")
        )
    task = profile.tasks[classes]
    if not task:
        return table["label"]
    label = table["label"].map(task)
    return label.where(~table["clip"].isin(profile.not_in_three)) if classes == "three" else label
