"""Figures of scores say what the tables say."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report import drawing, score_figures
from tests.report import studies
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


def test_table_1_is_sorted_and_published_figures_are_hollow():
    table = studies.table1(studies.predictions(24, 4))
    figure = score_figures.table1(table)
    axes = figure.axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == list(table.sort_values(["accuracy", "title"], ascending=[True, False])["title"])
    assert {f"{100 * value:.2f}" for value in table["accuracy"]} <= set(texts(figure))
    [hollow] = [line for line in axes.lines if line.get_marker() == "D"]
    published = dict(zip(table["title"], table["published"], strict=True))
    assert hollow.get_markerfacecolor() == "none"
    found = {shown[int(row)]: value / 100 for value, row in zip(*hollow.get_data(), strict=True)}
    assert found == pytest.approx({title: value for title, value in published.items() if not np.isnan(value)})


def test_a_single_subject_has_no_band():
    table = studies.table1(studies.predictions(8, 1))
    bands = [line for line in score_figures.table1(table).axes[0].lines if line.get_linewidth() == 6]
    assert [len(band.get_xdata()) for band in bands] == [0]  # that of the legend


def test_without_published_figures_there_is_no_mark_for_them():
    table = studies.table1(studies.predictions(24, 4), "synthetic")
    figure = score_figures.table1(table)
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert not [text for text in texts(figure) if "published" in text]


def test_confusion_matrices_stand_side_by_side():
    matrices = {"STANet": np.array([[3, 1], [0, 2]]), "Sparse MDMO": np.array([[2, 2], [1, 1]])}
    figure = score_figures.confusions(matrices, ["disgust", "tense"])
    assert [axes.get_title() for axes in figure.axes] == ["STANet", "Sparse MDMO"]
    assert {"75.0 %", "100.0 %", "disgust\n(4 clips)", "tense\n(2 clips)"} <= set(texts(figure))
    assert {label.get_text() for label in figure.axes[1].get_yticklabels()} == {""}


@pytest.mark.parametrize("folds", [1, 5, 26])
def test_curves_of_few_folds_are_named_those_of_many_are_not(tmp_path, folds):
    curve = pd.DataFrame({"epoch": [1, 2], "cross_entropy": [1.0, 0.5], "accuracy": [0.2, 0.7], "mask_l1": [9.0, 8.0]})
    figure = score_figures.training_curves({f"sub{n:02d}": curve for n in range(folds)})
    assert ("without sub00" in texts(figure)) == (folds <= 8)
    drawing.write(figure, tmp_path / "a.svg")
