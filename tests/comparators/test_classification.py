"""Folds of a method: every clip once, predicted from the clips of others, and by nothing that its own label says."""

import numpy as np
import pandas as pd
import pytest

from pipeline import comparators
from pipeline.comparators.protocol import classification, side_by_side
from pipeline.errors import InputError

CLASSES = ("disgust", "happiness", "surprise")


def study(clips=30, subjects=5, seed=0):
    """Clips of subjects that take turns, and features in which the classes can just be told apart."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(3, size=clips)
    table = pd.DataFrame({"subject": [f"s{number % subjects}" for number in range(clips)]})
    table.insert(0, "clip", [f"{subject}/EP{number:02d}" for number, subject in enumerate(table["subject"])])
    table["label"] = [CLASSES[number] for number in numbers]
    features = rng.normal(size=(clips, 8))
    features[np.arange(clips), numbers] += 1
    return np.abs(features), table


def one_each(*subjects):
    """A fold for each subject."""
    return {subject: [subject] for subject in subjects}


def leaks(features, clips, predict=classification.predict):
    """Subjects whose predictions change when the labels of their own clips do: of those, none may be."""
    folds = sorted(clips["subject"].unique())
    found = []
    for subject in folds:
        own = clips["subject"] == subject
        turned = {name: CLASSES[(number + 1) % 3] for number, name in enumerate(CLASSES)}
        changed = clips.assign(label=clips["label"].where(~own, clips["label"].map(turned)))
        before, after = (predict("fdm", features, table, one_each(subject))["predicted"] for table in (clips, changed))
        found += [subject] if list(before) != list(after) else []
    return found


def test_labels_that_are_held_out_change_no_prediction():
    assert not leaks(*study())


def test_a_planted_leak_is_found(monkeypatch):
    """The classifier is given the labels of all clips, those held out included."""
    features, clips = study()
    classify = comparators.classify

    def leaking(features, clips):
        def with_all_labels(name, _features, _labels, _subjects, test, **settings):
            return classify(name, features, *(clips[column].to_numpy(str) for column in ("label", "subject")), test)

        return with_all_labels

    def predict(name, features, clips, folds):
        monkeypatch.setattr(comparators, "classify", leaking(features, clips))
        return classification.predict(name, features, clips, folds)

    assert leaks(features, clips, predict)


def test_the_classifier_sees_only_what_a_fold_may_train_with(monkeypatch):
    features, clips = study()
    seen = {}

    def watching(name, train, labels, subjects, test, **settings):
        [subject] = set(clips["subject"]) - set(subjects)
        seen[subject] = (train, labels, test)
        return np.repeat(labels[:1], len(test))

    monkeypatch.setattr(comparators, "classify", watching)
    classification.predict("fdm", features, clips, one_each("s0", "s3"))
    assert list(seen) == ["s0", "s3"]
    for subject, (train, labels, test) in seen.items():
        own = (clips["subject"] == subject).to_numpy()
        np.testing.assert_array_equal(train, features[~own])
        np.testing.assert_array_equal(labels, clips["label"].to_numpy(str)[~own])
        np.testing.assert_array_equal(test, features[own])


def test_predictions_are_a_row_per_clip_in_the_order_of_the_table():
    features, clips = study()
    whole = classification.predict("fdm", features, clips, one_each("s4", "s2", "s0", "s1", "s3"))
    assert list(whole.columns) == ["clip", "subject", "label", "predicted"]
    pd.testing.assert_frame_equal(whole[["clip", "subject", "label"]], clips)
    # A fold is the same whether or not others are predicted, too.
    some = classification.predict("fdm", features, clips, one_each("s2"))
    pd.testing.assert_frame_equal(some, whole[whole["subject"] == "s2"].reset_index(drop=True))


def test_a_fold_of_several_test_subjects_learns_from_none_of_them(monkeypatch):
    features, clips = study()
    given = []

    def watching(name, train, labels, subjects, test, **settings):
        given.append((set(subjects), len(test)))
        return np.repeat(labels[:1], len(test))

    monkeypatch.setattr(comparators, "classify", watching)
    found = classification.predict("fdm", features, clips, {"fold1": ["s0", "s3"], "fold2": ["s1"]})
    assert given == [({"s1", "s2", "s4"}, 12), ({"s0", "s2", "s3", "s4"}, 6)]
    tested = clips[clips["subject"].isin(["s0", "s1", "s3"])]
    assert list(found["clip"]) == list(tested["clip"])


@pytest.mark.parametrize("workers", [1, 2])
def test_predictions_are_those_of_the_library_whatever_the_number_of_processes(monkeypatch, workers):
    monkeypatch.setattr(side_by_side, "STARTUP", 0)
    features, clips = study(clips=12, subjects=4)
    told = []
    found = classification.predict(
        "fdm", features, clips, one_each("s0", "s1", "s2", "s3"), workers=workers, report=lambda: told.append(1)
    )
    for subject, table in found.groupby("subject"):
        train = clips[clips["subject"] != subject]
        expected = comparators.classify(
            "fdm",
            features[train.index],
            train["label"].to_numpy(str),
            train["subject"].to_numpy(str),
            features[(clips["subject"] == subject).to_numpy()],
        )
        assert list(table["predicted"]) == list(expected)
    assert len(told) == 4
    with pytest.raises(InputError, match="fdm: expected clips of s9, the test subjects of fold s9, found none"):
        classification.predict("fdm", features, clips, one_each("s0", "s1", "s2", "s9"), workers=workers)


def test_settings_and_weights_of_classes_reach_the_method(monkeypatch):
    features, clips = study()
    given = []
    monkeypatch.setattr(
        comparators, "classify", lambda *data, **settings: given.append(settings) or np.repeat("disgust", len(data[4]))
    )
    classification.predict("fdm", features, clips, one_each("s0"), "balanced", {"blocks": (1, 2, 2)})
    assert given == [{"class_weight": "balanced", "blocks": (1, 2, 2)}]


def test_a_fold_that_cannot_be_is_named():
    features, clips = study()
    with pytest.raises(InputError, match="fdm: expected clips of s9, the test subjects of fold s9, found none"):
        classification.predict("fdm", features, clips, one_each("s9"))
    one = (clips["subject"] == "s0").to_numpy()
    with pytest.raises(InputError, match="fold s0: fdm: found no clips to train with"):
        classification.predict("fdm", features[one], clips[one], one_each("s0"))
    features[7] = np.nan
    with pytest.raises(InputError, match="fold s1: fdm: expected finite features"):
        classification.predict("fdm", features, clips, one_each("s1"))
