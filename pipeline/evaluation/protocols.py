"""Protocols: which subjects are the test set of which fold. A fold is a name and a set of test subjects.

Whatever the protocol, the clips of a subject are all test clips or all training clips of a fold, every subject is
tested in exactly one fold, and the predictions of all folds are scored together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import InputError
from pipeline.evaluation import subject_folds

LOSO, K_FOLD, DATABASE = "loso", "k-fold", "database"
_BY_DATABASE = "-by-database"


def suffix(protocol: str, folds: int) -> str:
    """Return the end of the names of datasets under a protocol with so many folds; empty for LOSO."""
    return {LOSO: "", K_FOLD: f"-{folds}-fold", DATABASE: _BY_DATABASE}[protocol]


def has_suffix(name: str) -> bool:
    """Return whether a name ends as those of datasets under another protocol than LOSO."""
    return name.endswith((_BY_DATABASE, "-fold"))


def fold_names(protocol: str, subjects: Sequence[str], databases: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of all folds of a study.

    Parameters
    ----------
    protocol
        `loso`: a fold for each subject, with the subject's name. `k-fold`: `fold1` to `fold<k>`, with as many digits as
        k has. `database`: a fold for each database, with the database's name.
    subjects, databases
        Of the study.
    count
        k, the number of folds with `k-fold`.

    Raises
    ------
    InputError
        There would be fewer than two folds, or more folds than subjects.
    """
    if protocol == LOSO:
        return tuple(subjects)
    if protocol == DATABASE:
        if len(databases) < 2:
            raise InputError(
                f"with protocol: database, expected a study of at least two databases, found {', '.join(databases)}. "
                "Make one with `python -m pipeline use composite`."
            )
        return tuple(databases)
    if not 2 <= count <= len(subjects):
        raise InputError(
            f"with protocol: k-fold, expected 2 to {len(subjects)} folds, one per subject at most; found {count}"
        )
    return tuple(f"fold{number:0{len(str(count))}}" for number in range(1, count + 1))


def folds(protocol: str, names: Sequence[str], clips: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the test subjects of each fold, sorted.

    With `k-fold`, `subject_folds` spreads the subjects, in the same way whatever the seed of the study.

    Parameters
    ----------
    protocol
        `loso`, `k-fold` or `database`.
    names
        Names of the folds, as `fold_names` gives them.
    clips
        Columns `subject,label,database`, a row per clip.
    """
    if protocol == LOSO:
        return {name: (name,) for name in names}
    if protocol == DATABASE:
        by_database = clips.groupby("database")["subject"].unique()
        return {name: tuple(sorted(by_database[name])) for name in names}
    tests = subject_folds.spread(clips, len(names))
    return {name: tuple(sorted(clips["subject"][test].unique())) for name, test in zip(names, tests, strict=True)}


def check(clips: pd.DataFrame, folds: Mapping[str, Sequence[str]]) -> None:
    """Raise InputError unless every fold has clips to test and all classes to train with.

    `clips` has the columns `subject` and `label`; `folds` has the test subjects of each fold. With LOSO a class that
    only one subject shows is allowed, as in the field: its clips count as errors.
    """
    for column, what in (("subject", "subjects, of whom one is held out"), ("label", "classes")):
        if len(found := clips[column].unique()) < 2:
            raise InputError(f"expected clips of at least two {what}; found only {', '.join(found)}")
    faults = []
    for name, subjects in folds.items():
        tested = clips["subject"].isin(subjects)
        missing = sorted(set(clips["label"]) - set(clips["label"][~tested]))
        if not tested.any():
            faults.append(f"{name} has no clip to test")
        elif missing and len(subjects) > 1:
            faults.append(f"{name} has no training clip of {', '.join(missing)}")
    if faults:
        raise InputError(
            "expected folds with clips to test and training clips of every class, found:\n  "
            + "\n  ".join(faults)
            + "\nChoose another number of folds or another protocol: python -m pipeline use ... --protocol."
        )


def as_text(folds: Mapping[str, Sequence[str]]) -> str:
    """Return the content of folds.json: the test subjects of each fold."""
    return json.dumps({name: list(subjects) for name, subjects in folds.items()}, indent=2) + "\n"


def read(path: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the test subjects of these folds from folds.json.

    Raises
    ------
    InputError
        The file is missing or damaged, or lacks a fold.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: tuple(map(str, found[name])) for name in names}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: expected the test subjects of every fold as the stage `task` writes them, found something else "
            f"({type(error).__name__}: {error}). Delete the file and run `dvc repro`, which makes it again."
        ) from error


def split(clips: pd.DataFrame, subjects: Iterable[str]) -> pd.DataFrame:
    """Return the split of the fold with these test subjects.

    Parameters
    ----------
    clips
        Columns `clip,subject,label`, a row per clip.
    subjects
        Subjects whose clips are the test set.

    Returns
    -------
    Columns `clip,subject,label,role`, one row per clip in the order of `clips`; `role` is `train` or `test`.
    """
    role = clips["subject"].isin(list(subjects)).map({True: "test", False: "train"})
    return clips[["clip", "subject", "label"]].assign(role=role)


def tested(clips: pd.DataFrame, folds: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the clips that these folds test, in the order of `clips`."""
    return clips[clips["subject"].isin([subject for subjects in folds.values() for subject in subjects])]


def join(clips: pd.DataFrame, folds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of all folds, one row per clip in the order of the clip table.

    Parameters
    ----------
    clips
        Clip table of the subjects that were held out.
    folds
        Predictions by fold, with a column `clip`.

    Raises
    ------
    InputError
        A clip has no prediction or more than one, or a prediction belongs to no clip; all of them are named.
    """
    predictions = pd.concat(list(folds.values()), ignore_index=True)
    counts = predictions["clip"].value_counts()
    faults = [f"{clip} has no prediction" for clip in clips["clip"] if clip not in counts]
    faults += [f"{clip} has {count} predictions" for clip, count in counts.items() if count > 1]
    faults += [f"{clip} is not in the clip table" for clip in counts.index.difference(list(clips["clip"]))]
    if faults:
        raise InputError(
            "expected one prediction for every clip of the folds "
            f"{', '.join(folds)}, found:\n  "
            + "\n  ".join(faults)
            + "\nRun `dvc repro`, which trains what is out of date."
        )
    return clips[["clip"]].merge(predictions, on="clip", validate="one_to_one")
