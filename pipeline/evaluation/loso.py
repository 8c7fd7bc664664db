"""Leave one subject out (LOSO): every subject is the test set of one fold and is seen in no training of it."""

from collections.abc import Mapping

import pandas as pd

from pipeline.errors import InputError


def check(clips: pd.DataFrame) -> None:
    """Raise InputError unless there is something to tell apart, and somebody to learn it from.

    `clips` has the columns `subject` and `label`.
    """
    for column, what in (("subject", "subjects, of whom one is held out"), ("label", "classes")):
        if len(found := clips[column].unique()) < 2:
            raise InputError(f"expected clips of at least two {what}; found only {', '.join(found)}")


def split(clips: pd.DataFrame, subject: str) -> pd.DataFrame:
    """The fold that holds `subject` out.

    Parameters
    ----------
    clips
        Clip table with the columns `clip`, `subject` and `label`.
    subject
        Subject whose clips are the test set.

    Returns
    -------
    Columns `clip,subject,label,role`, one row per clip in the order of `clips`; `role` is `train` or `test`.
    """
    role = (clips["subject"] == subject).map({True: "test", False: "train"})
    return clips[["clip", "subject", "label"]].assign(role=role)


def join(clips: pd.DataFrame, folds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Predictions of all folds, one row per clip in the order of the clip table.

    Parameters
    ----------
    clips
        Clip table of the subjects that were held out.
    folds
        Predictions by held-out subject, with a column `clip`.

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
