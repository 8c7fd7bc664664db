"""Leave one subject out: disjoint, complete, and joined without losing or doubling a clip."""

import pandas as pd
import pytest

from pipeline.errors import InputError
from pipeline.evaluation import loso


@pytest.fixture
def clips():
    subjects = ["sub01", "sub01", "sub02", "sub03", "sub03", "sub03"]
    names = [f"{subject}/EP{n}" for n, subject in enumerate(subjects)]
    return pd.DataFrame({"clip": names, "subject": subjects, "label": list("abcabc"), "onset": 1})


@pytest.mark.parametrize("column", ["subject", "label"])
def test_a_study_needs_two_subjects_and_two_classes(clips, column):
    loso.check(clips)
    with pytest.raises(InputError, match=r"at least two \w+.*; found only alone"):
        loso.check(clips.assign(**{column: "alone"}))


def test_no_subject_is_on_both_sides_and_no_clip_is_lost(clips):
    tested = []
    for subject in clips["subject"].unique():
        split = loso.split(clips, subject)
        assert list(split.columns) == ["clip", "subject", "label", "role"]
        train, test = (split[split["role"] == role] for role in ("train", "test"))
        assert set(test["subject"]) == {subject}
        assert set(train["subject"]) == set(clips["subject"]) - {subject}
        assert list(split["clip"]) == list(clips["clip"])
        tested += list(test["clip"])
    assert sorted(tested) == sorted(clips["clip"])


@pytest.fixture
def folds(clips):
    return {subject: part.drop(columns="onset") for subject, part in clips[::-1].groupby("subject")}


def test_joined_predictions_are_in_the_order_of_the_clips(clips, folds):
    joined = loso.join(clips, folds)
    assert list(joined["clip"]) == list(clips["clip"])
    assert list(joined["label"]) == list(clips["label"])


def test_a_clip_without_prediction_is_named(clips, folds):
    folds["sub03"] = folds["sub03"][:-1]
    with pytest.raises(InputError, match="sub03/EP3 has no prediction"):
        loso.join(clips, folds)


def test_a_clip_with_two_predictions_is_named(clips, folds):
    folds["sub02"] = pd.concat([folds["sub02"], folds["sub01"][:1]])
    with pytest.raises(InputError, match="sub01/EP1 has 2 predictions"):
        loso.join(clips, folds)


def test_a_prediction_for_no_clip_is_named(clips, folds):
    with pytest.raises(InputError, match="sub02/EP2 is not in the clip table"):
        loso.join(clips[clips["subject"] != "sub02"], folds)
