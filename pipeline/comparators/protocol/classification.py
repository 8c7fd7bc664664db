"""All folds of a dataset: the clips of the test subjects, predicted from those of all others."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import comparators
from pipeline.comparators.protocol import side_by_side
from pipeline.errors import InputError
from pipeline.evaluation import protocols


@dataclass(frozen=True)
class Folds:
    """What all folds of a method have in common: the clips of all subjects, and who is tested in which fold."""

    name: str
    features: np.ndarray
    clips: pd.DataFrame
    class_weight: str
    settings: Mapping[str, Any]
    subjects: Mapping[str, Sequence[str]]

    def fold(self, name: str) -> pd.DataFrame:
        """Predict the test clips of a fold: columns `clip,subject,label,predicted`; InputError with the fold's name."""
        tested = (protocols.split(self.clips, self.subjects[name])["role"] == "test").to_numpy()
        train, test = self.clips[~tested], self.clips.loc[tested, ["clip", "subject", "label"]]
        if test.empty:
            raise InputError(
                f"{self.name}: expected clips of {', '.join(self.subjects[name])}, the test subjects of fold {name}, "
                "found none"
            )
        try:
            predicted = comparators.classify(
                self.name,
                self.features[~tested],
                train["label"].to_numpy(str),
                train["subject"].to_numpy(str),
                self.features[tested],
                class_weight=self.class_weight,
                **self.settings,
            )
        except InputError as error:
            raise InputError(f"fold {name}: {error}") from error
        return test.assign(predicted=predicted)


def predict(
    name: str,
    features: np.ndarray,
    clips: pd.DataFrame,
    folds: Mapping[str, Sequence[str]],
    class_weight: str = "none",
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    report: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Predictions of a method, folds side by side.

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
        Test subjects of each fold.
    class_weight
        `none` or `balanced`.
    settings
        Constants of the method; what is left out has its default.
    workers
        Processes at most; the cores that this one may use if it is None. How many there are changes no prediction.
    report
        Called once for every fold.

    Returns
    -------
    Columns `clip,subject,label,predicted`: the clips of the subjects held out, in the order of `clips`.

    Raises
    ------
    InputError
        A fold has no clips to train with or to test; for the reasons of `comparators.classify`, with the fold; or a
        worker was killed.
    """
    work = Folds(name, features, clips, class_weight, settings or {}, folds).fold
    predictions = {}
    try:
        with closing(side_by_side.results(work, list(folds), workers)) as predicted:
            for fold, table in zip(folds, predicted, strict=True):
                predictions[fold] = table
                report()
    except BrokenProcessPool as error:
        raise InputError(
            f"{name}: a process that classified clips was killed, most likely for want of memory: run again."
        ) from error
    return protocols.join(protocols.tested(clips, folds), predictions)
