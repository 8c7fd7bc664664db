"""MMEW trees as they come: every trap, in the words that the user sees."""

import shutil

import pytest

from pipeline.databases import mmew
from pipeline.databases.profiles import PROFILES
from pipeline.databases.recordings import UnusableRows
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from tests.databases import trapped
from tests.databases.trapped import Copy

pytestmark = pytest.mark.xdist_group("tree of MMEW")
GAP, ZERO, FAR, EMPTY, BEHIND = 2, 3, 4, 5, 6  # rows with a trap


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("mmew") / "MMEW_Final"
    trapped.write(root, "mmew")
    return root


@pytest.fixture
def copy(made, tmp_path):
    return Copy(made, tmp_path / "copy", "mmew")


@pytest.fixture
def sound(copy):
    """A tree whose rows can all be used where 3 frames in a row may be missing."""
    for row in (ZERO, FAR):
        frames = len(list(next(copy.root.glob(f"Micro_Expression/*/{copy.get(row, 'Filename')}")).iterdir()))
        copy.put(row, "OffsetFrame", frames)
    return copy


def refused(root, **options):
    with pytest.raises(UnusableRows) as error:
        mmew.read(root, **options)
    return str(error.value)


def test_clips_are_named_after_subject_and_file_and_frames_begin_at_1(sound):
    table = mmew.read(sound.root, largest_gap=3).table
    assert list(table["clip"]) == [
        f"{subject}/{frames[-10:]}" for subject, frames in table[["subject", "frames"]].values
    ]
    assert set(table["subject"]) == {"S01", "S02", "S03"} and set(table["onset"]) == {1}
    assert set(table["clip"].str[4:7]) == set(table["subject"])


def test_wrong_offsets_are_defects_that_say_where_the_frames_end(copy):
    message = refused(copy.root)
    for row, found in ((ZERO, 0), (FAR, copy.get(FAR, "OffsetFrame"))):
        [line] = [line for line in message.splitlines() if f"MMEW_Micro_Exp.xlsx:{row}: " in line]
        assert f"offset is {found}, but its frames go from 1 to " in line
        assert "Correct it in a copy of the table and name that with --annotation, or exclude the clip" in line
    assert message.startswith(f"{copy.root}: 3 defects")


def test_an_empty_offset_is_a_defect_that_says_where_the_frames_end(sound):
    sound.put(EMPTY, "OffsetFrame", None)
    assert "offset is empty, but its frames go from 1 to" in refused(sound.root, largest_gap=3)


def test_an_offset_within_the_allowed_gap_moves_to_the_last_frame(sound):
    last = sound.get(FAR, "OffsetFrame")
    sound.put(FAR, "OffsetFrame", last + 3)
    reading = mmew.read(sound.root, largest_gap=3)
    row = reading.table.set_index("frames").filter(like=sound.get(FAR, "Filename"), axis=0).iloc[0]
    assert (row["offset"], row["n_missing"]) == (last, 3)
    sound.put(FAR, "OffsetFrame", last + 4)
    assert f"offset is {last + 4}, but" in refused(sound.root, largest_gap=3)


def test_a_corrected_copy_of_the_table_is_taken_instead(copy, sound, tmp_path):
    shutil.move(sound.annotation, tmp_path / "mine.xlsx")
    assert len(mmew.read(copy.root, annotated=tmp_path / "mine.xlsx", largest_gap=3).table) == 24


def test_an_apex_that_is_empty_or_behind_the_offset_is_unknown(sound):
    reading = mmew.read(sound.root, largest_gap=3)
    apex = dict(zip(reading.table["clip"].str[4:], reading.table["apex"], strict=True))
    assert apex[sound.get(EMPTY, "Filename")] == "" and apex[sound.get(BEHIND, "Filename")] == ""
    assert len([value for value in apex.values() if value == ""]) == 3  # that of ZERO, too
    assert any(sound.get(BEHIND, "Filename") in line for line in reading.apex_unknown)


def test_missing_frames_are_refused_by_default(sound):
    message = refused(sound.root)
    assert f":{GAP}: " in message and "frames 5-7 of" in message and "up to 3 in a row" in message
    assert list(mmew.read(sound.root, largest_gap=3).table["n_missing"]).count(3) == 1


@pytest.mark.parametrize("label", ["others", "Others", "repression"])
def test_the_folder_repression_is_others(sound, label):
    assert not (sound.root / "Micro_Expression/others").exists()
    for row in range(2, sound.sheet.max_row + 1):
        if sound.get(row, "Estimated Emotion") == "others":
            sound.put(row, "Estimated Emotion", label)
    reading = mmew.read(sound.root, largest_gap=3)
    others = reading.table[reading.table["label"] == "others"]
    assert len(others) and all("/repression/" in frames for frames in others["frames"])
    assert "repression" not in set(reading.table["label"]) and not reading.remarks


def test_a_clip_in_the_folder_of_another_emotion_is_used_and_named(sound):
    row = next(row for row in range(7, 30) if sound.get(row, "Estimated Emotion") == "surprise")
    name = sound.get(row, "Filename")
    (sound.root / "Micro_Expression/surprise" / name).rename(sound.root / "Micro_Expression/disgust" / name)
    reading = mmew.read(sound.root, largest_gap=3)
    [remark] = reading.remarks
    assert remark.endswith(f"/Micro_Expression/disgust/{name}") and "surprise in the table, which counts" in remark
    assert reading.table.set_index("clip").loc[f"{name[:3]}/{name}", "label"] == "surprise"


def test_macro_expressions_are_not_read(sound):
    assert list(sound.root.glob("Macro_Expression/S01/*/S01-*"))
    assert all(
        frames.startswith("Micro_Expression/") for frames in mmew.read(sound.root, largest_gap=3).table["frames"]
    )


def test_a_level_for_the_subject_does_not_matter(sound):
    flat = mmew.read(sound.root, largest_gap=3).table
    for folder in sorted(sound.root.glob("Micro_Expression/*/S*")):
        target = sound.root / "Micro_Expression" / folder.name[:3] / folder.parent.name / folder.name
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    deep = mmew.read(sound.root, largest_gap=3).table
    assert deep.drop(columns="frames").equals(flat.drop(columns="frames"))
    assert all(frames.split("/")[1] == subject for frames, subject in deep[["frames", "subject"]].values)


def test_a_clip_in_two_folders_is_a_defect(sound):
    name = sound.get(EMPTY, "Filename")
    folder = next(sound.root.glob(f"Micro_Expression/*/{name}"))
    shutil.copytree(folder, sound.root / "Micro_Expression/again" / name)
    assert f"its frames may be in {sound.root}/Micro_Expression/again/{name} or " in refused(sound.root, largest_gap=3)


def test_two_versions_of_the_table_are_listed(sound):
    shutil.copy(sound.annotation, sound.root / "MMEW_Micro_Exp_v2.xlsx")
    with pytest.raises(InputError, match=r"MMEW_Micro_Exp\.xlsx, .*_v2\.xlsx\. Say which with --annotation FILE"):
        mmew.read(sound.root)


def test_no_folders_of_frames(sound):
    shutil.rmtree(sound.root / "Micro_Expression")
    with pytest.raises(InputError, match=r"expected folders of frames such as Micro_Expression/disgust/S01-07-001"):
        mmew.read(sound.root)


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("Subject", "S1", ""),
        ("Subject", "01", ""),
        ("Subject", 2, "expected a clip of subject S02, whose name begins with S02; found S01-"),
        ("Subject", "one", "expected the number of a subject, found 'one'"),
        ("Filename", "EP01_01", "expected the name of a clip such as S01-07-001, found 'EP01_01'"),
        ("Filename", "S01-07-999", "S01-07-999 is missing"),
        ("OnsetFrame", None, "onset and offset must be frame numbers, found None"),
        ("Estimated Emotion", "tense", "label 'tense' is no class of mmew"),
    ],
)
def test_other_defects_of_a_row(sound, header, value, message):
    sound.put(EMPTY, header, value)
    if message:
        assert message in refused(sound.root, largest_gap=3)
    else:
        assert len(mmew.read(sound.root, largest_gap=3).table) == 24


def test_the_tasks_have_four_six_seven_and_three_classes(sound):
    table = mmew.read(sound.root, largest_gap=3).table

    def task(name):
        return make_task({"mmew": table}, {"mmew": PROFILES["mmew"]}, name)

    labels = table["label"].value_counts()
    assert task("own").classes == ("disgust", "happiness", "others", "surprise")
    assert task("own").left_out == {name: labels[name] for name in ("anger", "fear", "sadness")}
    assert task("six").classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert task("six").left_out == {"others": labels["others"]}
    assert set(task("seven").classes) == set(labels.index) and not task("seven").left_out
    three = task("three").clips["label"].value_counts()
    assert three["positive"] == labels["happiness"] and three["surprise"] == labels["surprise"]
    assert three["negative"] == labels[["anger", "disgust", "fear", "sadness"]].sum()
