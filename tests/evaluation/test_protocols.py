"""Protocols: every subject is tested in one fold, and predictions are joined without losing or doubling a clip."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import InputError
from pipeline.evaluation import protocols


@pytest.fixture
def clips():
    subjects = ["sub01", "sub01", "sub02", "sub03", "sub03", "sub03"]
    names = [f"{subject}/EP{n}" for n, subject in enumerate(subjects)]
    return pd.DataFrame({"clip": names, "subject": subjects, "label": list("abcabc"), "onset": 1})


def study(subjects=20, seed=0):
    """Subjects with 1 to 8 clips, each with classes of its own frequency, in two databases."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(subjects):
        labels = rng.choice(list("abc"), size=rng.integers(1, 9), p=rng.dirichlet([1, 1, 1]))
        database = "casme2" if number % 3 else "smic"
        rows += [(f"s{number:02d}/{take}", f"s{number:02d}", label, database) for take, label in enumerate(labels)]
    return pd.DataFrame(rows, columns=["clip", "subject", "label", "database"])


def one_each(clips):
    return {subject: (subject,) for subject in clips["subject"].unique()}


# --- which folds a study has ---


def test_the_names_of_the_folds_are_those_of_subjects_numbers_or_databases():
    subjects, databases = [f"s{number:02d}" for number in range(12)], ["casme2", "smic"]
    assert protocols.fold_names("loso", subjects, databases, 0) == tuple(subjects)
    assert protocols.fold_names("database", subjects, databases, 0) == ("casme2", "smic")
    assert protocols.fold_names("k-fold", subjects, databases, 3) == ("fold1", "fold2", "fold3")
    named = protocols.fold_names("k-fold", subjects, databases, 10)
    assert (named[0], named[-1]) == ("fold01", "fold10") and list(named) == sorted(named)


@pytest.mark.parametrize("count", [0, 1, 13])
def test_more_folds_than_subjects_or_fewer_than_two_are_one_error(count):
    with pytest.raises(InputError, match=f"k-fold, expected 2 to 12 folds, one per subject at most; found {count}"):
        protocols.fold_names("k-fold", [f"s{number}" for number in range(12)], ["smic"], count)


def test_a_study_of_one_database_cannot_hold_it_out():
    with pytest.raises(InputError, match=r"at least two databases, found smic\..*use composite"):
        protocols.fold_names("database", ["s1", "s2"], ["smic"], 0)


def test_datasets_of_different_protocols_have_different_names():
    assert protocols.suffix("loso", 5) == "" and protocols.suffix("k-fold", 5) == "-5-fold"
    assert protocols.suffix("k-fold", 10) != protocols.suffix("k-fold", 5)
    assert all(protocols.has_suffix("megc2019" + protocols.suffix(name, 5)) for name in ("k-fold", "database"))
    assert not protocols.has_suffix("megc2019") and not protocols.has_suffix("manifold")


def test_leave_one_subject_out_has_a_fold_for_each_subject():
    assert protocols.folds("loso", ["s01", "s00"], study()) == {"s01": ("s01",), "s00": ("s00",)}


@pytest.mark.parametrize("count", [2, 5, 10, 20])
def test_k_fold_tests_every_subject_in_exactly_one_fold(count):
    clips = study()
    names = protocols.fold_names("k-fold", list(clips["subject"].unique()), [], count)
    found = protocols.folds("k-fold", names, clips)
    assert tuple(found) == names and all(found.values())
    tested = [subject for subjects in found.values() for subject in subjects]
    assert sorted(tested) == sorted(clips["subject"].unique())
    assert all(list(subjects) == sorted(subjects) for subjects in found.values())


def test_k_fold_gives_equal_folds_every_time_whatever_was_drawn_before():
    first = protocols.folds("k-fold", ["fold1", "fold2", "fold3"], study())
    np.random.seed(7)  # the state that scikit-learn would take without a seed of its own
    assert protocols.folds("k-fold", ["fold1", "fold2", "fold3"], study()) == first


def unbalance(clips, folds):
    """How far the share of each class in each fold is from its share in the study: sum over folds and classes."""
    share = clips["label"].value_counts(normalize=True)
    sizes = [clips[clips["subject"].isin(subjects)]["label"].value_counts() for subjects in folds.values()]
    return sum(
        abs(counts.get(label, 0) - share[label] * len(clips) / len(folds)) for counts in sizes for label in share.index
    )


def test_k_fold_is_better_balanced_than_subjects_at_random():
    clips, names = study(), [f"fold{number}" for number in range(1, 6)]
    subjects, rng = clips["subject"].unique(), np.random.default_rng(0)
    at_random = [
        unbalance(clips, dict(zip(names, np.array_split(rng.permutation(subjects), 5), strict=True)))
        for _ in range(100)
    ]
    assert unbalance(clips, protocols.folds("k-fold", names, clips)) < np.quantile(at_random, 0.05)


def test_by_database_every_fold_tests_all_subjects_of_one():
    clips = study()
    found = protocols.folds("database", ["smic", "casme2"], clips)
    assert list(found) == ["smic", "casme2"]
    for name, subjects in found.items():
        assert list(subjects) == sorted(clips[clips["database"] == name]["subject"].unique())


# --- whether folds can be trained and tested ---


@pytest.mark.parametrize("column", ["subject", "label"])
def test_a_study_needs_two_subjects_and_two_classes(clips, column):
    protocols.check(clips, one_each(clips))
    with pytest.raises(InputError, match=r"at least two \w+.*; found only alone"):
        changed = clips.assign(**{column: "alone"})
        protocols.check(changed, one_each(changed))


def test_a_fold_without_a_class_to_train_with_is_named_and_so_are_all_others():
    clips = pd.DataFrame({"subject": list("stuv"), "label": list("aabc")})
    protocols.check(clips.assign(label=list("abab")), {"fold1": ("s", "t"), "fold2": ("u", "v")})
    with pytest.raises(InputError) as error:
        protocols.check(clips, {"fold1": ("s", "t"), "fold2": ("u", "v"), "fold3": ("x",)})
    assert "fold1 has no training clip of a\n  fold2 has no training clip of b, c\n" in str(error.value)
    assert "fold3 has no clip to test" in str(error.value) and "--protocol" in str(error.value)


def test_leaving_one_subject_out_a_class_that_only_one_shows_is_allowed():
    clips = pd.DataFrame({"subject": list("sstu"), "label": list("cabb")})
    protocols.check(clips, one_each(clips))


# --- the file of the folds ---


def test_folds_are_read_as_they_were_written_and_only_those_that_are_asked_for(tmp_path):
    file, folds = tmp_path / "folds.json", {"fold1": ("s1", "s3"), "fold2": ("s2",)}
    file.write_text(protocols.as_text(folds))
    assert protocols.read(file, ["fold2", "fold1"]) == folds
    assert list(protocols.read(file, ["fold2", "fold1"])) == ["fold2", "fold1"]
    assert protocols.read(file, ["fold2"]) == {"fold2": ("s2",)}
    assert protocols.as_text(folds) == protocols.as_text({"fold1": ["s1", "s3"], "fold2": ["s2"]})


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"fold1": 3}', '{"fold2": ["s1"]}', "null", "\udcff"])
def test_a_missing_or_damaged_file_of_folds_is_one_clear_error(tmp_path, content):
    file = tmp_path / "folds.json"
    if content is not None:
        file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"folds\.json: expected the test subjects of every fold.*`dvc repro`"):
        protocols.read(file, ["fold1"])


# --- splits, and predictions of all folds ---


def test_no_subject_is_on_both_sides_and_no_clip_is_lost(clips):
    tested = []
    for subject in clips["subject"].unique():
        split = protocols.split(clips, [subject])
        assert list(split.columns) == ["clip", "subject", "label", "role"]
        train, test = (split[split["role"] == role] for role in ("train", "test"))
        assert set(test["subject"]) == {subject}
        assert set(train["subject"]) == set(clips["subject"]) - {subject}
        assert list(split["clip"]) == list(clips["clip"])
        tested += list(test["clip"])
    assert sorted(tested) == sorted(clips["clip"])


def test_a_fold_of_two_test_subjects_trains_with_neither(clips):
    split = protocols.split(clips, ("sub03", "sub01"))
    assert list(split["role"]) == ["test", "test", "train", "test", "test", "test"]
    assert list(split["clip"]) == list(clips["clip"])


def test_the_clips_that_are_tested_are_in_the_order_of_the_study(clips):
    tested = protocols.tested(clips, {"fold2": ("sub03",), "fold1": ("sub01",)})
    assert list(tested["clip"]) == [clip for clip in clips["clip"] if not clip.startswith("sub02")]


@pytest.fixture
def folds(clips):
    return {subject: part.drop(columns="onset") for subject, part in clips[::-1].groupby("subject")}


def test_joined_predictions_are_in_the_order_of_the_clips(clips, folds):
    joined = protocols.join(clips, folds)
    assert list(joined["clip"]) == list(clips["clip"])
    assert list(joined["label"]) == list(clips["label"])


def test_a_clip_without_prediction_is_named(clips, folds):
    folds["sub03"] = folds["sub03"][:-1]
    with pytest.raises(InputError, match="sub03/EP3 has no prediction"):
        protocols.join(clips, folds)


def test_a_clip_with_two_predictions_is_named(clips, folds):
    folds["sub02"] = pd.concat([folds["sub02"], folds["sub01"][:1]])
    with pytest.raises(InputError, match="sub01/EP1 has 2 predictions"):
        protocols.join(clips, folds)


def test_a_prediction_for_no_clip_is_named(clips, folds):
    with pytest.raises(InputError, match="sub02/EP2 is not in the clip table"):
        protocols.join(clips[clips["subject"] != "sub02"], folds)
