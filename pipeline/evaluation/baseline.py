"""What can be predicted without looking at a clip."""

from collections.abc import Iterable

import pandas as pd

from pipeline.errors import InputError
from pipeline.evaluation import loso


def largest_class(clips: pd.DataFrame, folds: Iterable[str]) -> pd.DataFrame:
    """Every clip is of the largest class among the training clips of its fold, the first by name among equals.

    Where classes are of nearly the same size, the largest one of the training clips is not that of the clips held out,
    so this can be worse than the share of the largest class.

    Parameters
    ----------
    clips
        Columns `clip,subject,label`, a row per clip.
    folds
        Subjects to be held out in turn.

    Returns
    -------
    Columns `clip,subject,label,predicted`: the clips of the subjects held out, in the order of `clips`.

    Raises
    ------
    InputError
        A fold has no clips to train with.
    """
    predictions = {}
    for subject in folds:
        split = loso.split(clips, subject)
        counts = split.loc[split["role"] == "train", "label"].value_counts()
        if counts.empty:
            raise InputError(f"expected clips of subjects besides {subject} to train with, found none")
        largest = min(counts.index[counts == counts.max()])
        held_out = split.loc[split["role"] == "test", ["clip", "subject", "label"]]
        predictions[subject] = held_out.assign(predicted=largest)
    return loso.join(clips[clips["subject"].isin(list(predictions))], predictions)
