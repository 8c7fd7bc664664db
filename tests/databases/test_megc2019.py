"""The clip list of the composite: what differs is named where a table here knows it, and counted otherwise."""

import hashlib
import json

import pandas as pd
import pytest

from pipeline.databases import megc2019
from pipeline.databases.megc2019 import OfficialList, check, official, study_differences
from pipeline.databases.profiles import THREE
from pipeline.errors import InputError

OFFICIAL = official()


def line(database, subject, clip, label):
    return hashlib.sha256(f"{database},{subject},{clip},{THREE.index(label)}\n".encode()).hexdigest()


LIST = OfficialList(
    frozenset(
        [
            line("casme2", "sub03", "EP01_2", "surprise"),
            line("casme2", "sub03", "EP01_3", "negative"),
            line("samm", "006", "006_1_2", "positive"),
            line("smic", "s18", "s18_sur_03", "surprise"),
            line("smic", "s18", "s18_ne_01", "negative"),
        ]
    ),
    {"casme2": {"sub03": 2}, "samm": {"006": 1}, "smic": {"s18": 2}},
)
RIGHT = [
    ("casme2-sub03/EP01_2", "surprise"),
    ("casme2-sub03/EP01_3", "negative"),
    ("samm-006/006_1_2", "positive"),
    ("smic-s18/s18_ne_01", "negative"),
    ("smic-s18/s18_sur_03", "surprise"),
]


def differences(clips, recordings=(), excluded=(), accepted=()):
    """Of a study with these clips and labels, and recordings with these names in their databases and labels."""
    tables = {}
    for name, label in recordings:
        database, _, clip = name.partition("-")
        tables.setdefault(database, []).append((clip, label))
    return study_differences(
        pd.DataFrame(clips, columns=["clip", "label"]),
        {database: pd.DataFrame(rows, columns=["clip", "label"]) for database, rows in tables.items()},
        {"smic": list(excluded)},
        accepted,
        LIST,
    )


def test_the_list_is_the_official_one():
    document = json.loads(megc2019.FILE.read_text())
    assert document["all"] == "423e3d4e8f145eb662176ff63908e9a767eb6e6a5ec6b30be87812c819750c93"
    assert len(OFFICIAL.lines) == 442 and tuple(sorted(OFFICIAL.clips)) == megc2019.DATABASES
    assert [OFFICIAL.counts(database) for database in megc2019.DATABASES] == [(145, 24), (133, 28), (164, 16)]


@pytest.mark.parametrize(
    ("subject", "clip", "label"),
    [
        # The clips that a table in circulation swaps.
        ("sub03", "EP01_2", "surprise"),
        ("sub15", "EP04_02", "surprise"),
        ("sub17", "EP01_13", "surprise"),
        ("sub24", "EP07_01", None),
        ("sub24", "EP07_04f", None),
        ("sub24", "EP10_03", None),
        # Two that the composite leaves out.
        ("sub04", "EP12_01f", None),
        ("sub05", "EP09_05f", None),
    ],
)
def test_known_clips_are_looked_up_by_their_hashes(subject, clip, label):
    assert OFFICIAL.label("casme2", subject, f"{subject}/{clip}") == label


def test_the_clip_that_cropped_releases_of_smic_lack_is_in_the_list():
    assert OFFICIAL.label("smic", "s18", "s18_sur_03") == "surprise"
    assert OFFICIAL.label("samm", "s18", "s18_sur_03") is None


def test_the_right_clips_do_not_differ():
    found = differences(RIGHT, RIGHT)
    assert not found and not found.sentences()
    check(found, ())


def test_another_annotation_table_is_recognised_by_the_clips_that_it_swaps():
    clips = [("casme2-sub24/EP07_01", "surprise"), *RIGHT[1:]]
    recordings = [*clips, ("casme2-sub03/EP01_2", "others")]
    found = differences(clips, recordings)
    assert found.sentences() == [
        "casme2-sub03/EP01_2: left out here as others, surprise in the official list",
        "casme2-sub24/EP07_01: surprise here, not in the official list",
    ]
    with pytest.raises(InputError) as error:
        check(found, ())
    assert "found 2 differences" in str(error.value)
    assert "Likely: CASME II: another annotation than CASME2-coding-20140508" in str(error.value)
    assert "--accept casme2-sub03/EP01_2 --accept casme2-sub24/EP07_01" in str(error.value)


def test_the_three_clips_that_a_table_in_circulation_swaps_are_named_by_the_official_list_itself():
    surprise = ["sub03/EP01_2", "sub15/EP04_02", "sub17/EP01_13"]
    taken_for_it = ["sub24/EP07_01", "sub24/EP07_04f", "sub24/EP10_03"]
    clips = pd.DataFrame({"clip": [f"casme2-{clip}" for clip in taken_for_it], "label": "surprise"})
    recordings = pd.DataFrame({"clip": [*surprise, *taken_for_it], "label": ["others"] * 3 + ["surprise"] * 3})
    # Of the list, the swapped clips only: all others are as they should be.
    listed = OfficialList(OFFICIAL.lines, {"casme2": {"sub03": 1, "sub15": 1, "sub17": 1}})
    found = study_differences(clips, {"casme2": recordings}, {}, (), listed)
    assert found.sentences() == [
        *(f"casme2-{clip}: left out here as others, surprise in the official list" for clip in surprise),
        *(f"casme2-{clip}: surprise here, not in the official list" for clip in taken_for_it),
    ]
    with pytest.raises(InputError) as error:
        check(found, ())
    assert "found 6 differences" in str(error.value)
    assert str(error.value).count("Likely: ") == 1 and "with 246 rows is in circulation" in str(error.value)


def test_a_clip_in_another_class_is_named_once():
    found = differences([("casme2-sub03/EP01_2", "negative"), *RIGHT[1:]])
    assert found.sentences() == ["casme2-sub03/EP01_2: negative here, surprise in the official list"]
    assert not found.unnamed


def test_a_missing_clip_that_no_table_names_is_counted_with_its_likely_cause():
    found = differences(RIGHT[:-1], RIGHT[:-1])
    assert found.sentences() == ["smic, s18: 1 clip missing that no table here names"]
    with pytest.raises(InputError, match="Likely: SMIC: an empty folder, as s18_sur_03 is in cropped releases"):
        check(found, ())


def test_a_clip_that_was_excluded_or_accepted_is_looked_up_by_that_name():
    named = "smic-s18/s18_sur_03"
    found = differences(RIGHT[:-1], excluded=["s18/s18_sur_03", "s18/s18_sur_99", "table.xlsx:7"])
    assert list(found.named) == [named] and not found.unnamed
    with pytest.raises(InputError, match=f"--accept {named}"):
        check(found, ())
    accepted = differences(RIGHT[:-1], accepted=[named])
    check(accepted, [named])
    assert accepted.sentences() == [f"{named}: not among the recordings here, surprise in the official list"]


def test_an_accepted_clip_that_does_not_differ_is_an_error():
    with pytest.raises(InputError, match="smic-s18/s18_ne_01: accepted, but it does not differ"):
        check(differences(RIGHT, accepted=["smic-s18/s18_ne_01"]), ["smic-s18/s18_ne_01"])


def test_accepting_one_clip_does_not_cover_another():
    clips = [("casme2-sub24/EP07_01", "surprise"), *RIGHT]
    clips.append(("casme2-sub24/EP10_03", "surprise"))
    found = differences(clips)
    with pytest.raises(InputError) as error:
        check(found, ["casme2-sub24/EP07_01"])
    assert "found 1 difference:" in str(error.value) and "sub24/EP07_01" not in str(error.value)
