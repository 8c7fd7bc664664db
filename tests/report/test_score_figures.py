"""Figures of scores say what the tables say."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report import drawing, score_figures
from tests.report.drawn import texts


def test_the_confusion_matrix_shows_shares_of_rows_and_counts():
    figure = score_figures.confusion(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), ["disgust", "surprise", "tense"])
    shown = texts(figure)
    assert {"75.0 %", "25.0 %", "100.0 %", "3", "1", "2"} <= set(shown)
    assert {"disgust\n(4 clips)", "surprise\n(2 clips)", "tense\n(0 clips)"} <= set(shown)


def test_subjects_are_shown_with_their_clips():
    table = pd.DataFrame({"subject": ["s1", "s2"], "clips": [8, 1], "correct": [6, 0], "accuracy": [0.75, 0.0]})
    shown = texts(score_figures.accuracy_per_subject(table, 6 / 9))
    assert {"s1", "s2", "6 of 8 clips", "0 of 1 clips", "all clips: 66.7 %"} <= set(shown)


def test_the_comparison_names_every_method_with_its_accuracy():
    shown = texts(score_figures.comparison(6, 8, ("always tense", 0.5), [("HIGO", 67.21)]))
    assert {"this study", "75.00", "always tense", "50.00", "HIGO", "67.21"} <= set(shown)


@pytest.mark.parametrize("folds", [1, 5, 26])
def test_curves_of_few_folds_are_named_those_of_many_are_not(tmp_path, folds):
    curve = pd.DataFrame({"epoch": [1, 2], "cross_entropy": [1.0, 0.5], "accuracy": [0.2, 0.7], "mask_l1": [9.0, 8.0]})
    figure = score_figures.training_curves({f"sub{n:02d}": curve for n in range(folds)})
    assert ("without sub00" in texts(figure)) == (folds <= 8)
    drawing.write(figure, tmp_path / "a.svg")
