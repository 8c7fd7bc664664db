"""The largest class is that of the clips that a fold may train with."""

import pandas as pd
import pytest

from pipeline.errors import InputError
from pipeline.evaluation.baseline import largest_class

CLIPS = pd.DataFrame(
    {
        "clip": list("abcdefg"),
        "subject": ["s1", "s1", "s1", "s2", "s2", "s3", "s3"],
        "label": ["tense", "tense", "tense", "disgust", "disgust", "disgust", "tense"],
        "onset": 1,
    }
)


def test_it_is_found_without_the_clips_held_out():
    found = largest_class(CLIPS, {"s2": ["s2"], "s1": ["s1"], "s3": ["s3"]})
    assert list(found.columns) == ["clip", "subject", "label", "predicted"] and list(found["clip"]) == list("abcdefg")
    # Without s1: disgust 3, tense 1. Without s2: tense 4, disgust 1. Without s3: tense 3, disgust 2.
    assert list(found["predicted"]) == ["disgust"] * 3 + ["tense"] * 4


def test_of_equally_large_classes_it_is_the_first_by_name():
    found = largest_class(CLIPS[1:], {"s3": ["s3"]})  # of s1 and s2: two of each
    assert list(found["predicted"]) == ["disgust", "disgust"]


def test_only_the_folds_that_are_asked_for_are_predicted():
    assert list(largest_class(CLIPS, {"s3": ["s3"]})["clip"]) == ["f", "g"]


def test_a_fold_of_several_test_subjects_counts_the_clips_of_the_others():
    found = largest_class(CLIPS, {"fold1": ["s2", "s3"], "fold2": ["s1"]})
    # Without s2 and s3: three tense. Without s1: disgust 3, tense 1.
    assert list(found["predicted"]) == ["disgust"] * 3 + ["tense"] * 4


def test_a_fold_without_others_is_refused():
    with pytest.raises(InputError, match="fold s1: expected clips of other subjects to train with, found none"):
        largest_class(CLIPS[:3], {"s1": ["s1"]})
