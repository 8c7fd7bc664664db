"""The table of a fold's predictions."""

import numpy as np
import pandas as pd

from pipeline.learning.predictions import predictions

TEST = pd.DataFrame({"clip": ["a", "b"], "subject": ["s1", "s1"], "label": ["happy", "sad"]})


def test_the_most_probable_class_is_predicted_and_every_class_has_a_column():
    table = predictions(TEST, np.array([[0.2, 0.8], [0.6, 0.4]]), ["happy", "sad"])
    assert list(table.columns) == ["clip", "subject", "label", "predicted", "p_happy", "p_sad"]
    assert list(table["predicted"]) == ["sad", "happy"] and list(table["p_sad"]) == [0.8, 0.4]


def test_no_clips_give_the_columns():
    table = predictions(TEST[:0], np.empty((0, 2)), ["happy", "sad"])
    assert table.empty and list(table.columns)[3:] == ["predicted", "p_happy", "p_sad"]
