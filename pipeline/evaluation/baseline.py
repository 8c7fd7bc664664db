"""What can be predicted without looking at a clip."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.errors import InputError
from pipeline.evaluation import protocols


def largest_class(clips: pd.DataFrame, folds: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Every clip is of the largest class among the training clips of its fold, the first by name among equals.

    Where classes are of nearly the same size, the largest one of the training clips is not that of the clips held out,
    so this can be worse than the share of the largest class.

    Parameters
    ----------
    clips
        Columns `clip,subject,label`, a row per clip.
    folds
        Test subjects of each fold.

    Returns
    -------
    Columns `clip,subject,label,predicted`: the clips of the subjects held out, in the order of `clips`.

    Raises
    ------
    InputError
        A fold has no clips to train with.
    """
    predictions = {}
    for name, subjects in folds.items():
        split = protocols.split(clips, subjects)
        counts = split.loc[split["role"] == "train", "label"].value_counts()
        if counts.empty:
            raise InputError(f"fold {name}: expected clips of other subjects to train with, found none")
        largest = min(counts.index[counts == counts.max()])
        test = split.loc[split["role"] == "test", ["clip", "subject", "label"]]
        predictions[name] = test.assign(predicted=largest)
    return protocols.join(protocols.tested(clips, folds), predictions)
