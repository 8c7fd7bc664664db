"""CAS(ME)³ trees as they come: every trap, in the words that the user sees."""

import re
import shutil

import pytest

from pipeline.databases import casme3
from pipeline.databases.profiles import PROFILES
from pipeline.databases.recordings import UnusableRows
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from pipeline.frames import frame_files
from tests import official
from tests.databases import trapped
from tests.databases.trapped import Copy

pytestmark = pytest.mark.xdist_group("tree of CAS(ME)3")
TABLE = r"cas\(me\)3_part_A_ME_label_JpgIndex_v2\.xlsx"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A tree with every trap, and what its traps are."""
    root = tmp_path_factory.mktemp("casme3") / "CAS(ME)3"
    return root, trapped.write(root, "casme3")


@pytest.fixture
def copy(made, tmp_path):
    return Copy(made[0], tmp_path / "copy", "casme3")


@pytest.fixture(scope="session")
def reading(made):
    """What can be used where up to 3 frames in a row may be missing."""
    with pytest.raises(UnusableRows) as error:
        casme3.read(made[0], largest_gap=3)
    return error.value.reading


def problems(root, **options):
    """The lines of the defects, or none."""
    try:
        casme3.read(root, **options)
    except UnusableRows as error:
        return [line.strip() for line in str(error).splitlines() if line.startswith("  ")]
    return []


def clip(copy, row):
    return f"{copy.get(row, 'Subject')}/{copy.get(row, 'Filename').lower()}-{copy.get(row, 'Onset')}"


def said(made, words):
    """Row of which a trap says `words`."""
    [sentence] = [sentence for sentence in made[1] if words in sentence]
    return int(sentence.split(",")[0].removeprefix("row "))


def test_every_cell_of_the_annotation_is_text(copy):
    cells = [cell.value for row in copy.sheet.iter_rows() for cell in row]
    assert copy.sheet.title == "label" and {type(cell) for cell in cells} == {str, type(None)}
    assert len(problems(copy.root)) == 6


def test_all_defects_are_listed_at_once_with_file_and_row(made):
    found = problems(made[0])
    for words in ("frames", "frame "):
        assert any(words in line for line in found)
    assert len(found) == 6 and all(line.startswith("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx:") for line in found)


def test_impossible_rows_are_defects(made):
    found = "\n".join(problems(made[0]))
    assert "-3647: onset 3647 is not before offset 2694" in found
    assert "-1812: onset 1812 is not before offset 0" in found


def test_an_apex_before_the_onset_is_unknown_and_one_at_the_onset_is_not(made, copy, reading):
    early, same = said(made, "the apex is before"), said(made, "the apex is the onset")
    rows = reading.table.set_index("clip")
    assert rows.loc[clip(copy, early), "apex"] == ""
    assert rows.loc[clip(copy, same), "apex"] == rows.loc[clip(copy, same), "onset"]
    assert [line.split(":")[0] for line in reading.apex_unknown] == [clip(copy, early)]


def test_one_video_holds_several_micro_expressions_whose_ids_have_the_onset(made, copy, reading):
    second = said(made, "the video has another micro-expression")
    chosen = reading.table[reading.table["frames"] == f"part_A/spNo.1/{copy.get(second, 'Filename')}/color"]
    assert len(chosen) == 2 and len(set(chosen["clip"])) == 2
    assert set(chosen["clip"]) == {f"spNO.1/{copy.get(second, 'Filename')}-{onset}" for onset in chosen["onset"]}


def test_subjects_keep_their_dot_and_folders_may_be_written_otherwise(reading):
    assert set(reading.table["subject"]) == {"spNO.1", "spNO.2", "spNO.3"}
    first = reading.table[reading.table["subject"] == "spNO.1"]
    assert len(first) and all(frames.startswith("part_A/spNo.1/") for frames in first["frames"])


def test_the_letter_of_a_video_may_be_a_capital_one(made, copy, reading):
    row = said(made, "the letter of the video is a capital one")
    assert copy.get(row, "Filename").isupper()
    assert clip(copy, row) in set(reading.table["clip"])


def test_depth_is_never_read(made, reading):
    root, _ = made
    assert all(frames.endswith("/color") for frames in reading.table["frames"])
    depth = next(root.rglob("depth/*.png"))
    with pytest.raises(frame_files.Unusable, match="16 bits"):
        frame_files.check(depth)


def test_others_in_either_spelling_is_one_label(copy):
    spelt = {copy.get(row, "emotion") for row in range(2, copy.sheet.max_row + 1)}
    assert {"others", "Others"} <= spelt
    with pytest.raises(UnusableRows) as error:
        casme3.read(copy.root, largest_gap=5)
    assert set(error.value.reading.table["label"]) == {name.lower() for name in spelt}


@pytest.mark.parametrize(("largest", "count"), [(None, 4), (1, 3), (2, 2), (3, 1), (4, 1), (5, 0)])
def test_missing_frames_are_refused_by_default_and_beyond_the_largest_gap(made, largest, count):
    found = [line for line in problems(made[0], largest_gap=largest) if " missing in " in line]
    assert len(found) == count
    assert all(("are not allowed" in line) == (largest is not None) for line in found)


def test_allowed_gaps_are_counted(made, copy, reading):
    counts = dict(zip(reading.table["clip"], reading.table["n_missing"], strict=True))
    mended = {name: count for name, count in counts.items() if count}
    rows = sorted(int(line.split(",")[0].removeprefix("row ")) for line in made[1] if "missing" in line)[:4]
    assert sorted(mended.values()) == [1, 2, 3] and set(mended) <= {clip(copy, row) for row in rows}
    assert len(reading.mended) == 3
    assert any("onset" in line for line in reading.mended) and any("offset" in line for line in reading.mended)
    for name in mended:
        row = reading.table.set_index("clip").loc[name]
        there = frame_files.numbered(made[0] / row["frames"])
        assert {row["onset"], row["apex"], row["offset"]} <= set(there)


def test_the_table_of_the_macro_expressions_is_passed_over(made, copy):
    assert list(made[0].rglob("*_MaE_*.xlsx"))
    copy.annotation.unlink()
    with pytest.raises(InputError, match="found none"):
        casme3.read(copy.root)


def test_two_tables_of_the_micro_expressions_are_listed(copy):
    shutil.copy(copy.annotation, copy.annotation.with_name("cas(me)3_part_A_ME_label_JpgIndex_v1.xlsx"))
    with pytest.raises(
        InputError, match=r"expected one annotation.*v1\.xlsx, .*v2\.xlsx\. Say which with --annotation"
    ):
        casme3.read(copy.root)
    assert len(problems(copy.root, annotated=copy.annotation)) == 6


def test_part_a_is_meant_where_other_parts_have_the_same_subjects(made, copy, reading):
    assert (made[0] / "part_C/spNO.1/a/color/1.jpg").exists()
    assert all(frames.startswith("part_A/") for frames in reading.table["frames"])
    shutil.copytree(copy.root / "part_A", copy.root / "again/part_A", ignore=shutil.ignore_patterns("annotation"))
    with pytest.raises(InputError, match=r"expected one folder that holds spNO\.1/a/color.*Name one of them"):
        casme3.read(copy.root)


def test_no_folders_of_frames(copy):
    for part in ("part_A/spNo.1", "part_A/spNO.2", "part_A/spNO.3", "part_C"):
        shutil.rmtree(copy.root / part)
    with pytest.raises(InputError, match=r"expected one folder that holds spNO\.1/a/color.*found none$"):
        casme3.read(copy.root)


def test_the_release_of_the_clips_alone(copy, reading):
    """Folders `frame/spNO.1_a_116`, with depth beside them."""
    clips = copy.root / "Part_A_ME_clip"
    for row in reading.table.itertuples():
        _, letter = row.clip.split("-")[0].split("/")
        onset = row.clip.split("-")[1]
        source = copy.root / row.frames
        for name in ("frame", "depth"):
            folder = clips / name / f"{row.subject.replace('NO', 'No')}_{letter}_{onset}"
            folder.mkdir(parents=True)
            for number, path in frame_files.numbered(source).items():
                if row.onset <= number <= row.offset:
                    shutil.copy(path, folder)
    shutil.move(copy.annotation, clips)
    with pytest.raises(UnusableRows) as error:
        casme3.read(clips, largest_gap=3)
    found = error.value.reading.table
    assert list(found["clip"]) == list(reading.table["clip"]) and list(found["onset"]) == list(reading.table["onset"])
    assert all(frames.startswith("frame/spNo.") for frames in found["frames"])
    assert re.search(r"frame folder .*/frame/spNO\.\d_[a-z]_\d+ is missing", str(error.value))


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("Subject", "sub01", "expected a subject such as spNO.1, found 'sub01'"),
        ("Subject", None, "expected a subject such as spNO.1, found None"),
        ("Filename", None, "expected the letter of a video, found none"),
        ("Filename", "zz", "part_A/spNO.3/zz/color is missing"),
        ("Onset", "?", "onset and offset must be frame numbers, found None"),
        ("emotion", "joy", "label 'joy' is no class of casme3 (anger, disgust, fear, sad, happy, surprise, others)"),
        ("emotion", None, "it has no label"),
    ],
)
def test_other_defects_of_a_row(copy, header, value, message):
    row = copy.sheet.max_row - 2  # the last one that can be used
    copy.put(row, header, value)
    found = [line for line in problems(copy.root, largest_gap=5) if f".xlsx:{row}:" in line]
    assert len(found) == 1 and message in found[0]


def test_excluded_rows_need_not_be_usable(made, copy):
    last = copy.sheet.max_row
    exclude = [f"{copy.annotation.name}:{last}", clip(copy, last - 1)]
    assert problems(made[0], largest_gap=5, exclude=exclude) == []


def test_the_tasks_have_four_seven_and_three_classes(reading):
    def task(name):
        return make_task({"casme3": reading.table}, {"casme3": PROFILES["casme3"]}, name)

    assert task("own").classes == ("negative", "positive", "surprise", "others")
    assert task("seven").classes == ("anger", "disgust", "fear", "happy", "others", "sad", "surprise")
    assert task("three").classes == ("negative", "positive", "surprise")
    labels = reading.table.set_index("clip")["label"]
    named = {"happy": "positive", "surprise": "surprise", "others": "others"}
    own = task("own").clips.set_index("clip")["label"]
    assert own.to_dict() == {name: named.get(label, "negative") for name, label in labels.items()}
    three = task("three")
    assert three.left_out == {"others": (labels == "others").sum()} and not task("seven").left_out
    assert set(three.clips["clip"]) == set(labels.index[labels != "others"])


def test_a_table_in_another_form_gives_the_same(copy, reading, tmp_path):
    rows = [[cell.value for cell in row] for row in copy.sheet.iter_rows()]
    official.write_csv(tmp_path / "table.csv", rows)
    with pytest.raises(UnusableRows) as error:
        casme3.read(copy.root, largest_gap=3, annotated=tmp_path / "table.csv")
    assert error.value.reading.table.equals(reading.table)
