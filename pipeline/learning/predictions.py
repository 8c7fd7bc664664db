"""The table of a fold's predictions, `results/<dataset>/folds/<subject>.csv`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.storage.tables import PROBABILITY


def predictions(test: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """The clips held out, each with its most probable class and the probability of every class.

    Parameters
    ----------
    test
        M clips held out, with the columns `clip,subject,label`.
    probabilities
        float64 (M, K).
    classes
        K names, in the order of the columns of `probabilities`.

    Returns
    -------
    The columns of `test`, `predicted`, and one of probabilities for each class, `p_<class>`.
    """
    table = test.assign(predicted=[classes[number] for number in probabilities.argmax(axis=1)])
    for number, label in enumerate(classes):
        table[f"{PROBABILITY}{label}"] = probabilities[:, number]
    return table
