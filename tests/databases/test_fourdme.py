"""4DME trees as they come: every trap, in the words that the user sees."""

import shutil

import pytest

from pipeline.databases import fourdme
from pipeline.databases.profiles import PROFILES
from pipeline.databases.recordings import UnusableRows
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from tests.databases import trapped
from tests.databases.trapped import Copy

pytestmark = pytest.mark.xdist_group("tree of 4DME")
GAP, SEVERAL = 2, (3, 4, 5)  # rows with a trap
TABLE = "4DME_Labelling_Micro_release v1.xlsx"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("fourdme") / "4DME"
    return root, trapped.write(root, "fourdme")


@pytest.fixture(scope="session")
def reading(made):
    return fourdme.read(made[0], largest_gap=3)


@pytest.fixture
def copy(made, tmp_path):
    return Copy(made[0], tmp_path / "copy", "fourdme")


def refused(root, **options):
    with pytest.raises(UnusableRows) as error:
        fourdme.read(root, **options)
    return str(error.value)


def task(table, name):
    return make_task({"fourdme": table}, {"fourdme": PROFILES["fourdme"]}, name)


def test_missing_frames_are_refused_by_default(made, reading):
    message = refused(made[0])
    assert f"1 defect in this copy of fourdme:\n  {TABLE}:{GAP}: " in message and "up to 3 in a row" in message
    assert list(reading.table["n_missing"]).count(3) == 1 and len(reading.mended) == 1


def test_a_person_in_two_sessions_is_one_subject(reading):
    first = reading.table[reading.table["subject"] == "S01"]
    assert set(first["clip"].str.split("/").str[0]) == {"S01_1st", "S01_2nd"}
    assert set(reading.table["subject"]) == {"S01", "S02", "S03"}


def test_clips_of_several_emotions_are_kept_and_no_task_uses_them(reading):
    several = reading.table[reading.table["label"].str.contains("+", regex=False)]
    assert sorted(several["label"]) == ["negative+repression", "positive+surprise", "positive+surprise"]
    for name in ("own", "three"):
        left_out = task(reading.table, name).left_out
        assert left_out["positive+surprise"] == 2 and left_out["negative+repression"] == 1
        assert not set(task(reading.table, name).clips["clip"]) & set(several["clip"])


def test_a_clip_of_several_emotions_that_cannot_be_used_is_passed_over(copy):
    shutil.rmtree(copy.root / "gray_micro" / copy.get(SEVERAL[0], "sub_ID") / copy.get(SEVERAL[0], "fold_name"))
    found = fourdme.read(copy.root, largest_gap=3)
    [line] = found.passed_over
    assert line.startswith(f"{TABLE}:{SEVERAL[0]}: ") and "is missing" in line


@pytest.mark.parametrize("label", ["Joy", "Surprise+Joy", "Surprise+"])
def test_an_unknown_emotion_is_a_defect_alone_or_with_others(copy, label):
    copy.put(SEVERAL[0], "Emotion", label)
    assert f"{TABLE}:{SEVERAL[0]}: " in (message := refused(copy.root, largest_gap=3))
    if "Joy" in label:
        assert "is no class of fourdme (negative, positive, repression, surprise, others)" in message


def test_the_order_and_the_case_of_emotions_do_not_matter(copy, reading):
    copy.put(SEVERAL[0], "Emotion", "POSITIVE + surprise ")
    assert fourdme.read(copy.root, largest_gap=3).table.equals(reading.table)


def test_two_rows_whose_last_columns_are_swapped_are_named_and_their_emotion_counts(made, copy, reading):
    row = next(int(line.split(",")[0][4:]) for line in made[1] if "those of the next row" in line)
    for number, other in ((row, row + 1), (row + 1, row)):
        name = f"{copy.get(number, 'sub_ID')}/{copy.get(number, 'fold_name')}"
        label, marked = (copy.get(place, "Emotion").lower() for place in (number, other))
        assert reading.table.set_index("clip").loc[name, "label"] == label
        expected = f"{name}: {label} in the column Emotion, which counts; {marked} in the columns behind it"
        assert expected in reading.remarks
    assert len(reading.remarks) == 2


def test_columns_of_single_emotions_need_not_exist(copy, reading):
    for column in range(len(copy.headers), copy.headers.index("AUs") + 1, -1):
        copy.sheet.delete_cols(column)
    copy.book.save(copy.annotation)
    found = fourdme.read(copy.root, largest_gap=3)
    assert found.table.equals(reading.table) and not found.remarks


def test_only_the_grey_videos_are_read(made, copy, reading):
    assert (made[0] / "rgb_micro").is_dir()
    assert all(frames.startswith("gray_micro/") for frames in reading.table["frames"])
    shutil.copytree(copy.root / "gray_micro", copy.root / "gray_micro_crop")
    with pytest.raises(InputError, match=r"expected one folder that holds those of the subjects.*Name one of them"):
        fourdme.read(copy.root)


def test_frames_that_are_counted_from_1_are_the_clip(copy, reading):
    row = SEVERAL[-1] + 5
    folder = copy.root / "gray_micro" / copy.get(row, "sub_ID") / copy.get(row, "fold_name")
    onset = copy.get(row, "Onset")
    assert onset > 1
    for file in sorted(folder.iterdir(), key=lambda file: int(file.stem)):
        file.rename(folder / f"{int(file.stem) - onset + 1}.jpg")
    name = f"{copy.get(row, 'sub_ID')}/{copy.get(row, 'fold_name')}"
    before, after = (
        found.set_index("clip").loc[name] for found in (reading.table, fourdme.read(copy.root, largest_gap=3).table)
    )
    numbers = ["onset", "apex", "offset"]
    assert (before[numbers] - after[numbers] == onset - 1).all() and after["onset"] == 1
    (folder / "1.jpg").unlink()
    assert "missing in" in refused(copy.root, largest_gap=3)  # then nothing says which frames they are


def test_no_folder_of_frames(copy):
    for name in ("gray_micro", "rgb_micro"):
        shutil.rmtree(copy.root / name)
    with pytest.raises(InputError, match=r"expected one folder that holds those of the subjects, such as gray_micro"):
        fourdme.read(copy.root)


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("sub_ID", "someone", "expected a subject such as S13 or S13_1st, found 'someone'"),
        ("fold_name", None, "expected the name of a clip, found none"),
        ("fold_name", "999_01_1", "999_01_1 is missing"),
        ("Offset", "?", "onset and offset must be frame numbers"),
        ("Emotion", None, "it has no label"),
    ],
)
def test_other_defects_of_a_row(copy, header, value, message):
    row = copy.sheet.max_row
    copy.put(row, header, value)
    assert f"{TABLE}:{row}: " in (found := refused(copy.root, largest_gap=3)) and message in found


def test_the_own_task_has_five_classes_and_the_composite_s_three_are_those_of_the_same_name(reading):
    assert task(reading.table, "own").classes == ("negative", "positive", "repression", "surprise", "others")
    three = task(reading.table, "three")
    labels = reading.table["label"].value_counts()
    assert three.clips["label"].value_counts().to_dict() == {
        name: labels[name] for name in ("negative", "positive", "surprise")
    }
    assert three.left_out["repression"] == labels["repression"] and three.left_out["others"] == labels["others"]
