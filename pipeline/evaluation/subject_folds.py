"""Subjects spread over folds, so that each fold has nearly as many clips of every class as the subjects allow."""

import warnings

import numpy as np
import pandas as pd

from pipeline.errors import InputError


def spread(clips: pd.DataFrame, count: int) -> list[np.ndarray]:
    """Return the clips of each fold, masks over the rows of `clips`; all clips of a subject are in one fold.

    scikit-learn's `StratifiedGroupKFold` does it, with random numbers from the fixed seed 0: equal clips give equal
    folds.

    Parameters
    ----------
    clips
        Columns `subject,label`, a row per clip.
    count
        Number of folds.

    Raises
    ------
    InputError
        There are more folds than subjects, or than clips of the largest class.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to load

    for most, what in (
        (clips["subject"].nunique(), "subjects"),
        (clips["label"].value_counts().max(), "clips of a class"),
    ):
        if count > most:
            raise InputError(f"expected at most {most} folds, because there are no more {what}; found {count}")
    folds = []
    with warnings.catch_warnings():
        # It warns where a class has fewer clips than there are folds; `protocols.check` says what that means.
        warnings.simplefilter("ignore", UserWarning)
        for _, rows in StratifiedGroupKFold(count, shuffle=True, random_state=0).split(
            clips, clips["label"], clips["subject"]
        ):
            mask = np.zeros(len(clips), bool)
            mask[rows] = True
            folds.append(mask)
    return folds
