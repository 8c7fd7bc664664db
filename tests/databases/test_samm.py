"""SAMM trees as they come, and everything that can be wrong with one."""

import cv2
import pytest

from pipeline.databases import readers, samm
from pipeline.databases.profiles import PROFILES
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from pipeline.frames import frame_files
from tests import official
from tests.conftest import write_frame

HEADER = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion"]


@pytest.fixture
def tree(tmp_path):
    """A function that writes a tree from rows of subject, file name, apex and label, each with frames 8 to 12."""

    def write(*rows, offset=12, frames=range(8, 13)):
        table = [[subject, name, 1, 8, apex, offset, label] for subject, name, apex, label in rows]
        official.write_xlsx(tmp_path / "SAMM_Micro_FACS_Codes_v2.xlsx", [*official.PROSE, HEADER, *table])
        for _, name, _, _ in rows:
            folder = tmp_path / "SAMM" / name[:3] / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in frames:
                write_frame(folder / f"{name[:3]}_{number:04d}.jpg", number, 8, 8)
        return tmp_path

    return write


def broken(root, match, **options):
    with pytest.raises(InputError, match=match):
        samm.read(root, **options)


def test_subjects_stay_text_and_the_composite_uses_labels_that_the_own_task_does_not(tree):
    rows = [
        (subject, name, 10, label)
        for subject, name, label in (
            (6, "006_1_2", "Anger"),
            ("006", "006_1_3", "Disgust"),
            ("7", "007_6_1", "Sadness"),
            ("007", "007_7_1", "Others"),
            ("017", "017_3_2", "Fear"),
        )
    ]
    reading = samm.read(tree(*rows))
    assert list(reading.table["subject"]) == ["006", "006", "007", "007", "017"]
    own = make_task({"samm": reading.table}, {"samm": PROFILES["samm"]}, "own")
    assert dict(zip(own.clips["clip"], own.clips["label"], strict=True)) == {
        "006/006_1_2": "anger",
        "007/007_7_1": "other",
    }
    assert own.left_out == {"disgust": 1, "sadness": 1, "fear": 1}
    three = make_task({"samm": reading.table}, {"samm": PROFILES["samm"]}, "three")
    assert set(three.clips["label"]) == {"negative"} and three.left_out == {"other": 1}
    assert "007/007_7_1" not in set(three.clips["clip"]) and len(three.clips) == 4


def test_an_apex_out_of_range_counts_as_unknown_and_is_said(tree):
    reading = samm.read(tree(("028", "028_4_1", 99, "Anger"), ("032", "032_3_1", 9, "Anger")))
    assert list(reading.table["apex"]) == ["", 9]
    assert reading.apex_unknown == ("028/028_4_1: 99 is not in 8-12",)


def test_a_clip_of_a_label_that_only_the_composite_uses_must_be_there(tree):
    root = tree(("006", "006_1_2", 9, "Fear"))
    for path in (root / "SAMM/006/006_1_2").iterdir():
        path.unlink()
    broken(root, "006/006_1_2: .*expected frames as .jpg")


def test_a_wrong_offset_that_is_in_circulation_is_named_with_the_right_one(tree):
    root = tree(("013", "013_1_9", 9, "Anger"), offset=5793, frames=range(5735, 5740))
    broken(root, "the offset of 013_1_9 is 5739, found 5793: some copies of the table are wrong here")


def test_that_offset_is_left_alone_where_the_frames_do_not_end_there(tree):
    assert list(samm.read(tree(("013", "013_1_9", 9, "Anger"))).table["offset"]) == [12]


@pytest.mark.parametrize(
    ("subject", "name", "message"),
    [
        ("sub6", "006_1_2", "expected the number of a subject, found 'sub6'"),
        ("006", "006-1-2", "expected the name of a clip such as 006_1_2, found '006-1-2'"),
        ("007", "006_1_2", "expected a clip of subject 007, whose name begins with 007; found 006_1_2"),
        ("006", "006_1_9", r"frame folder .*SAMM/006/006_1_9 is missing"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tree, subject, name, message):
    root = tree(("006", "006_1_2", 9, "Anger"), (subject, name, 9, "Anger"))
    if name == "006_1_9":
        (root / "SAMM/006/006_1_9").rename(root / "elsewhere")
    broken(root, message)


def test_two_releases_in_one_folder_are_listed(tree):
    root = tree(("006", "006_1_2", 9, "Anger"))
    write_frame_to = root / "SAMM_CROP/006/006_1_2"
    write_frame_to.mkdir(parents=True)
    broken(root, r"found .*SAMM, .*SAMM_CROP\. Name one of them")


def test_a_folder_without_samms_frames_is_one_clear_error(tree):
    root = tree(("006", "006_1_2", 9, "Anger"))
    (root / "SAMM/006").rename(root / "SAMM/six")
    broken(root, r"expected one folder that holds 006/006_1_2, .*; found none")


def test_the_table_of_casme2_is_not_taken_for_samms(tmp_path):
    tree = official.generate(tmp_path, "casme2", clips=4, subjects=2)
    official.write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", tree.table)
    broken(tmp_path, "CASME2-coding-20140508.xlsx has no column Inducement Code")


def test_the_generator_writes_grey_frames_whose_numbers_change_width(tmp_path):
    list(official.write_tree(tmp_path, layout="samm", **official.TINY))
    reading = readers.read("synthetic", tmp_path)
    assert set(reading.table["subject"]) == {"001", "002", "003"}
    widths = set()
    for row in reading.table.itertuples():
        files = frame_files.numbered(tmp_path / row.frames)
        widths |= {len(path.stem.split("_")[1]) for path in files.values()}
        assert cv2.imread(str(files[row.onset]), cv2.IMREAD_UNCHANGED).ndim == 2
        assert frame_files.read(files[row.onset]).shape == (64, 64, 3)
    assert len(widths) > 1
