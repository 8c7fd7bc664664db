"""All folds of a dataset: each subject's clips, predicted from those of all others."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline import comparators
from pipeline.errors import InputError
from pipeline.evaluation import loso


def predict(
    name: str,
    features: np.ndarray,
    clips: pd.DataFrame,
    folds: Iterable[str],
    class_weight: str = "none",
    settings: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Predictions of a method, fold by fold.

    The labels of the clips that a fold holds out are not handed to the method; whatever it learns, it learns from the
    training clips of the fold.

    Parameters
    ----------
    name
        One of `comparators.methods()`.
    features : float (N, ...)
        `comparators.describe` of each clip.
    clips
        Columns `clip,subject,label`, a row per clip.
    folds
        Subjects to be held out in turn.
    class_weight
        `none` or `balanced`.
    settings
        Constants of the method; what is left out has its default.

    Returns
    -------
    Columns `clip,subject,label,predicted`: the clips of the subjects held out, in the order of `clips`.

    Raises
    ------
    InputError
        A fold has no clips to train with or to test; or for the reasons of `comparators.classify`, with the fold.
    """
    predictions = {}
    for subject in folds:
        held_out = (loso.split(clips, subject)["role"] == "test").to_numpy()
        train, test = clips[~held_out], clips.loc[held_out, ["clip", "subject", "label"]]
        if test.empty:
            raise InputError(f"{name}: expected clips of {subject}, who is held out, found none")
        try:
            predicted = comparators.classify(
                name,
                features[~held_out],
                train["label"].to_numpy(str),
                train["subject"].to_numpy(str),
                features[held_out],
                class_weight=class_weight,
                **(settings or {}),
            )
        except InputError as error:
            raise InputError(f"the fold without {subject}: {error}") from error
        predictions[subject] = test.assign(predicted=predicted)
    return loso.join(clips[clips["subject"].isin(list(predictions))], predictions)
