"""Which clips a dataset has, in which classes, and under which names."""

import pandas as pd
import pytest

from pipeline.databases.profiles import PROFILES, THREE, profile_of
from pipeline.databases.task import check_subjects, dataset_name, make_task, task_named
from pipeline.errors import InputError


def recordings(*clips):
    """A table of recordings from clip, subject and label."""
    table = pd.DataFrame(clips, columns=["clip", "subject", "label"])
    return table.assign(onset=1, apex="", offset=9, n_frames=9, frames=table["clip"])


CASME2 = recordings(
    ("sub01/EP01", "sub01", "disgust"),
    ("sub01/EP02", "sub01", "others"),
    ("sub04/EP12_01f", "sub04", "surprise"),
    ("sub06/EP01", "sub06", "happiness"),
    ("sub06/EP02", "sub06", "sadness"),
)
SMIC = recordings(("s01/s01_ne_01", "s01", "negative"), ("s06/s06_po_01", "s06", "positive"))


def test_the_own_task_has_the_databases_own_classes_and_names():
    task = make_task({"casme2": CASME2}, {"casme2": PROFILES["casme2"]}, "own")
    assert list(task.clips["clip"]) == ["sub01/EP01", "sub01/EP02", "sub04/EP12_01f", "sub06/EP01"]
    assert task.classes == PROFILES["casme2"].classes and task.left_out == {"sadness": 1}
    assert set(task.clips["database"]) == {"casme2"} and dataset_name("casme2", "own") == "casme2"


def test_three_classes_are_those_of_the_composite_without_the_clips_that_it_leaves_out():
    task = make_task({"casme2": CASME2}, {"casme2": PROFILES["casme2"]}, "three")
    assert dict(zip(task.clips["clip"], task.clips["label"], strict=True)) == {
        "sub01/EP01": "negative",
        "sub06/EP01": "positive",
    }
    assert task.classes == THREE and dataset_name("casme2", "three") == "casme2-3"
    assert task.left_out == {"others": 1, "sadness": 1, "surprise": 1}


def test_in_a_study_of_several_databases_two_people_stay_two():
    profiles = {name: PROFILES[name] for name in ("smic", "casme2")}
    task = make_task({"smic": SMIC, "casme2": CASME2}, profiles, "three")
    assert list(task.clips["clip"]) == [
        "casme2-sub01/EP01",
        "casme2-sub06/EP01",
        "smic-s01/s01_ne_01",
        "smic-s06/s06_po_01",
    ]
    assert list(task.clips["subject"]) == ["casme2-sub01", "casme2-sub06", "smic-s01", "smic-s06"]
    assert task.clips["frames"].iloc[0] == "sub01/EP01"  # as in its own folder
    assert task.left_out == {"casme2-others": 1, "casme2-sadness": 1, "casme2-surprise": 1}


def test_a_database_that_the_composite_does_not_know_has_no_three_classes():
    with pytest.raises(InputError, match="classes: expected own for casme, found three"):
        make_task({"casme": CASME2}, {"casme": PROFILES["casme"]}, "three")


@pytest.mark.parametrize("layout", ["casme2", "smic"])
def test_the_embedded_database_has_the_tasks_of_its_layout(layout):
    profile = profile_of("synthetic", layout)
    table = recordings(*((f"a/{label}", "a", label) for label in profile.classes))
    assert not make_task({"synthetic": table}, {"synthetic": profile}, "own").left_out
    task = make_task({"synthetic": table}, {"synthetic": profile}, "three")
    assert not task.left_out and set(task.clips["label"]) == set(THREE)


def test_subjects_that_are_not_those_of_params_yaml_are_one_error_with_the_right_line():
    task = make_task({"smic": SMIC}, {"smic": PROFILES["smic"]}, "own")
    check_subjects(task, ["s06", "s01"], "loso", "smic")
    with pytest.raises(InputError, match=r"`subjects` is not the list of subjects of smic") as error:
        check_subjects(task, ["s01"], "loso", "smic")
    assert str(error.value).endswith('\nsubjects: ["s01", "s06"]\nfolds: ["s01", "s06"]')


@pytest.mark.parametrize("protocol", ["k-fold", "database"])
def test_folds_that_are_no_subjects_stay_as_they_are(protocol):
    task = make_task({"smic": SMIC}, {"smic": PROFILES["smic"]}, "own")
    with pytest.raises(InputError, match="`subjects` is not the list of subjects of smic") as error:
        check_subjects(task, ["s01", "s06", "s07"], protocol, "smic")
    assert str(error.value).endswith('Put this line into params.yaml and run again:\nsubjects: ["s01", "s06"]')


@pytest.mark.parametrize(
    ("name", "given", "task"),
    [
        ("casme3", "own", "own"),
        ("casme3", "4", "own"),
        ("casme3", "seven", "seven"),
        ("mmew", "6", "six"),
        ("mmew", "3", "three"),
        ("smic", "3", "three"),
        ("smic", "own", "own"),
        ("casme2", "5", "own"),
        ("table", "own", "own"),
    ],
)
def test_a_task_is_named_by_its_name_or_by_its_number_of_classes(name, given, task):
    assert task_named(PROFILES[name], given) == task


@pytest.mark.parametrize(
    ("name", "given", "known"),
    [
        ("casme3", "six", r"casme3, own \(4\), seven \(7\), three \(3\); found six"),
        ("casme", "three", r"casme, own \(4\); found three"),
        ("casme", "3", r"casme, own \(4\); found 3"),
        ("table", "0", r"table, own, three \(3\); found 0"),
    ],
)
def test_a_task_that_a_database_does_not_have_is_refused_with_those_that_it_has(name, given, known):
    with pytest.raises(InputError, match=f"classes: expected a task of {known}"):
        task_named(PROFILES[name], given)


def test_every_task_has_a_dataset_of_its_own():
    for profile in PROFILES.values():
        names = [dataset_name(profile.name, task) for task in profile.tasks]
        assert len(set(names)) == len(names) and not set(names) & (set(PROFILES) - {profile.name})
    assert dataset_name("casme3", "seven") == "casme3-7" and dataset_name("mmew", "six") == "mmew-6"


def test_a_study_counts_missing_frames_where_one_of_its_databases_may_lack_some():
    profiles = {name: PROFILES[name] for name in ("smic", "casme2")}
    tables = {"smic": SMIC.assign(n_missing=["0", "4"]), "casme2": CASME2}  # text, as read from recordings.csv
    clips = make_task(tables, profiles, "three").clips
    assert clips["n_missing"].tolist() == [0, 0, 0, 4]
    assert "n_missing" not in make_task({"smic": SMIC, "casme2": CASME2}, profiles, "three").clips
