"""A table of clips of one's own."""

import csv
import datetime
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from pydantic import TypeAdapter

from pipeline.databases import readers
from pipeline.databases.profiles import PROFILES
from pipeline.databases.task import make_task
from pipeline.errors import InputError
from pipeline.params import Names
from tests import official
from tests.conftest import write_frame


@pytest.fixture
def folder(tmp_path):
    """Two clips of each of two subjects, frames 8 to 11."""
    for clip in ("006/a", "006/b", "007/a", "007/b"):
        (tmp_path / "frames" / clip).mkdir(parents=True)
        for number in range(8, 12):
            write_frame(tmp_path / "frames" / clip / f"{number}.png", number)
    return tmp_path


def rows():
    return [
        {"clip": f"{s}/{c}", "subject": s, "label": label, "onset": 8, "offset": 11, "frames": f"frames/{s}/{c}"}
        for s, c, label in (("006", "a", "Joy"), ("006", "b", "anger"), ("007", "a", "joy"), ("007", "b", "Anger"))
    ]


def read(folder, rows, **options):
    pd.DataFrame(rows).to_csv(folder / "my clips.csv", index=False)
    return readers.read("table", folder, **options)


def task_of(reading):
    return make_task({"table": reading.table}, {"table": PROFILES["table"]}, "own")


def test_a_table_without_apex_is_enough_and_its_labels_are_the_classes(folder):
    reading = read(folder, rows())
    assert task_of(reading).classes == ("anger", "joy")
    assert reading.table.to_csv(index=False).splitlines() == [
        "clip,subject,label,onset,apex,offset,n_frames,frames",
        "006/a,006,joy,8,,11,4,frames/006/a",
        "006/b,006,anger,8,,11,4,frames/006/b",
        "007/a,007,joy,8,,11,4,frames/007/a",
        "007/b,007,anger,8,,11,4,frames/007/b",
    ]


def test_the_table_of_the_contract_is_read_as_it_was_written(folder):
    table = read(folder, rows()).table
    table.loc[0, "apex"] = "9"
    table.to_csv(folder / "my clips.csv", index=False)
    again = readers.read("table", folder).table
    assert again.to_csv() == table.to_csv()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": "006"}, "expected an id of letters.* of no other clip's level"),
        ({"clip": "../x"}, "expected an id of letters"),
        ({"clip": "/x"}, "expected an id of letters"),
        ({"clip": "007/a"}, "the same clip is already in my clips.csv:2"),
        ({"clip": "007/A"}, "the same clip is already in my clips.csv:2"),
        ({"frames": "frames/007/a"}, "the same frames are already in my clips.csv:2"),
        ({"subject": "two words"}, "expected a subject of the characters.*'two words'"),
        ({"subject": "--help"}, "expected a subject of the characters.*'--help'"),
        ({"frames": ""}, "expected a folder in the column frames, found none"),
        ({"frames": "../../elsewhere"}, "leads out of"),
        ({"frames": "/elsewhere"}, "leads out of"),
        ({"frames": "frames/008/a"}, "frame folder .*frames/008/a is missing"),
        ({"label": ""}, "it has no label"),
        ({"n_frames": 7}, "n_frames is 7.*, but 8 to 11 are 4 frames"),
        ({"onset": ""}, "must be frame numbers, found None and 11"),
        ({"offset": 10.5}, "must be frame numbers, found 8 and None"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(folder, change, message):
    table = rows()
    table[0] |= change
    with pytest.raises(InputError, match=rf"1 defect in[^\n]*\n[^\n]*{message}"):
        read(folder, table)
    [first, *_] = [row["clip"] for row in table]
    if first != "007/a":
        assert len(read(folder, table, exclude=["my clips.csv:2"]).table) == 3


def test_a_subject_is_whatever_params_yaml_allows(folder):
    table = rows()
    for row, subject in zip(table, ("spNO.1", "spNO.1", "a_b-2.", "a_b-2."), strict=True):
        row["subject"] = subject
    subjects = read(folder, table).table["subject"].unique()
    assert list(subjects) == ["spNO.1", "a_b-2."]
    assert TypeAdapter(Names).validate_python(tuple(subjects)) == tuple(subjects)


@pytest.mark.parametrize("subject", ["张三", "Müller", ".1", "a/b"])
def test_the_characters_that_a_subject_may_have_are_named(folder, subject):
    table = rows()
    table[0]["subject"] = subject
    with pytest.raises(InputError, match=rf"A-Z, a-z, 0-9, `_`, `-`, `\.`, .*; found '{re.escape(subject)}'.* as p01"):
        read(folder, table)


def test_a_missing_column_is_named(folder):
    pd.DataFrame(rows()).drop(columns="label").to_excel(folder / "x.xlsx", index=False)
    pd.DataFrame(rows()).drop(columns="frames").to_csv(folder / "y.csv", index=False)
    with pytest.raises(InputError, match=r"x\.xlsx has no column label\n.*y\.csv has no column frames"):
        readers.read("table", folder)


def test_an_empty_table_has_no_columns(folder):
    (folder / "x.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"x\.csv has no column clip, subject, label"):
        readers.read("table", folder)


def test_one_person_has_one_name(folder):
    table = rows()
    for row, subject in zip(table, ("s1", "S1", "s2", "s2"), strict=True):
        row["subject"] = subject
    with pytest.raises(InputError, match=r"1 defect in.*\n.*csv:3: 006/b: subject S1 is written s1 in my clips.csv:2"):
        read(folder, table)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_umlauts_are_read_in_every_encoding_that_a_file_tells(folder, encoding):
    table = pd.DataFrame(rows()).assign(label=["fröhlich", "größe", "喜", "größe"])
    (folder / "my clips.csv").write_bytes(table.to_csv(index=False, sep=";").encode(encoding))
    assert task_of(readers.read("table", folder)).classes == ("fröhlich", "größe", "喜")


@pytest.mark.parametrize(("encoding", "label"), [("cp1252", "größe"), ("gb18030", "高兴")])
def test_an_encoding_that_would_have_to_be_guessed_is_refused(folder, encoding, label):
    table = pd.DataFrame(rows()).assign(remark=label)
    (folder / "my clips.csv").write_bytes(table.to_csv(index=False).encode(encoding))
    assert len(readers.read("table", folder).table) == 4  # what is in other columns does not matter
    table.loc[2, "label"] = label
    (folder / "my clips.csv").write_bytes(table.to_csv(index=False).encode(encoding))
    with pytest.raises(InputError, match=r"my clips\.csv:4: expected text in UTF-8.*Save the table as `CSV UTF-8`"):
        readers.read("table", folder)


def turn(path, orientation):
    """Give a frame an EXIF orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=tags)


@pytest.mark.parametrize("orientation", [3, 6])
def test_frames_that_are_turned_in_different_ways_are_all_named(folder, orientation):
    for number in (9, 10, 11):
        turn(folder / f"frames/006/a/{number}.png", orientation)
    turn(folder / "frames/007/b/9.png", orientation)
    turn(folder / "frames/007/b/11.png", orientation)
    with pytest.raises(InputError) as error:
        read(folder, rows())
    assert "2 defects in" in str(error.value)
    assert f"orientation, 1 in frame 8; {orientation} in frames 9-11. Give all frames" in str(error.value)
    assert f"orientation, 1 in frames 8, 10; {orientation} in frames 9, 11. Give all" in str(error.value)


def test_a_clip_whose_frames_are_all_turned_alike_is_used(folder):
    for number in range(8, 12):
        turn(folder / f"frames/006/a/{number}.png", 6)
    assert len(read(folder, rows()).table) == 4


def test_frames_in_another_format_are_named(folder):
    for path in (folder / "frames/006/a").iterdir():
        path.rename(path.with_suffix(".tif"))
    with pytest.raises(
        InputError, match=r"006/a: expected frames as .jpg, .jpeg, .png, .bmp, found none \(.tif instead"
    ):
        read(folder, rows())


def test_advice_is_that_for_the_defect(folder):
    with pytest.raises(InputError) as error:
        read(folder, rows(), exclude=["006/z"])
    assert "006/z is no clip" in str(error.value) and str(error.value).endswith(
        "`exclude` in params.yaml what is no clip."
    )
    assert "Mend" not in str(error.value)


# --- what would go wrong later, or without a word -------------------------------------------------------------------


def text_of(table) -> str:
    return pd.DataFrame(table).to_csv(index=False)


def refused(folder, text: str | bytes) -> str:
    (folder / "my clips.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as error:
        readers.read("table", folder)
    return str(error.value)


def test_a_quotation_mark_that_is_never_closed_swallows_no_row(folder):
    lines = text_of([row for row in rows() for _ in range(4)]).splitlines()
    lines[12] = lines[12].replace("joy", '"joy')
    assert "my clips.csv:13: expected a closing quotation mark in the same line" in refused(folder, "\n".join(lines))
    lines = text_of(rows()).splitlines()
    lines[2] = lines[2].replace("anger", '"anger')
    assert "my clips.csv:3: expected a closing quotation mark" in refused(folder, "\n".join(lines))


def test_a_delimiter_within_a_cell_is_named(folder):
    text = text_of(rows()).replace("Joy", "joy, loud")
    assert "my clips.csv:2: expected at most the 6 cells of the header, found 7" in refused(folder, text)


def test_two_sheets_with_the_columns_are_named(folder):
    with pd.ExcelWriter(folder / "x.xlsx") as book:
        for name in ("first", "notes", "second"):
            pd.DataFrame(rows() if name != "notes" else [{"a": 1}]).to_excel(book, sheet_name=name, index=False)
    with pytest.raises(InputError, match=r"x\.xlsx: expected one sheet with the columns clip.*, found first, second"):
        readers.read("table", folder)


@pytest.mark.parametrize("twin", ["Label", " label ", "LABEL", "la bel"])
def test_two_columns_with_one_name_are_named(folder, twin):
    table = pd.DataFrame(rows()).assign(**{twin: "joy"})
    message = refused(folder, table.to_csv(index=False))
    assert f"my clips.csv:1: expected one column label, found 'label' and {twin!r}" in message


def test_one_folder_belongs_to_one_person_however_it_is_written(folder):
    table = rows()
    table[2] |= {"frames": "frames/007/../006/a"}
    assert "007/a: the same frames are already in my clips.csv:2" in refused(folder, text_of(table))
    table[2] |= {"onset": 9}
    assert "its frames are those of subject 006 in my clips.csv:2, not of 007" in refused(folder, text_of(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "jo\u200by"}, r"label 'jo\\u200by' has a character that cannot be seen, U\+200B ZERO WIDTH SPACE"),
        ({"label": "joy\x01"}, r"label 'joy\\x01' has a character that cannot be seen, U\+0001"),
        ({"label": "jo\x00y"}, r"U\+0000"),
        ({"subject": "0\x0006"}, "expected a subject of the characters"),
        ({"clip": "006/\u202ea"}, "expected an id of letters"),
        ({"frames": "frames/006\x00/a"}, r"frames .* U\+0000"),
        ({"label": "=1+1"}, r"label '=1\+1' begins like a formula"),
        ({"label": "@joy"}, r"label '@joy' begins like a formula"),
        ({"label": "-"}, r"label '-' begins like a formula"),
        ({"clip": "c" * 280}, r"clip c+\.\.\. has 280 bytes, at most 150"),
        ({"subject": "s" * 252}, r"subject s+\.\.\. has 252 bytes, at most 80"),
        ({"label": "l" * 200}, r"label l+\.\.\. has 200 bytes, at most 80"),
        ({"frames": "f/" * 2500}, r"frames .* bytes, at most 1000"),
        ({"offset": 10**9}, r"frames 12-1000000000 of 8-1000000000 missing"),
        ({"offset": 10**300}, r"frames 12-1\d+ of 8-1\d+ missing"),
        ({"onset": -(10**9)}, r"frames -1000000000-7 of -1000000000-11 missing"),
    ],
)
def test_what_would_break_a_later_stage_is_refused_at_once(folder, change, message):
    table = rows()
    table[0] |= change
    found = refused(folder, text_of(table))
    assert re.search(rf"1 defect in[^\n]*\n[^\n]*{message}", found), found


@pytest.mark.parametrize("twin", ["gro\u0308\u00dfe", "\uff47r\u00f6\u00dfe"])
def test_two_labels_that_look_the_same_are_named(folder, twin):
    table = rows()
    for row, label in zip(table, ("gr\u00f6\u00dfe", twin, "anger", "anger"), strict=True):
        row["label"] = label
    assert "looks like 'größe' in my clips.csv:2" in refused(folder, text_of(table))


def test_a_pipe_in_place_of_a_folder_or_a_frame_is_not_waited_for(folder):
    os.mkfifo(folder / "frames/pipe")
    table = rows()
    table[0] |= {"frames": "frames/pipe"}
    assert "frames/pipe is missing" in refused(folder, text_of(table))
    frame = folder / "frames/006/a/9.png"
    frame.unlink()
    os.mkfifo(frame)
    assert "9.png is no file but a pipe or a device" in refused(folder, text_of(rows()))


# --- one table in three formats ---------------------------------------------------------------------------------------


def write_csv(path: Path, cells: list[list[object]]):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(cells)


FORMATS = {".csv": write_csv, ".xlsx": official.write_xlsx, ".xls": official.write_xls}


def cells(**changes) -> list[list[object]]:
    """The table, with changes to its first row, as cells."""
    table = rows()
    table[0] |= changes
    return [list(table[0]), *(list(row.values()) for row in table)]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("label", ["NA", "None", "null", "nan", "N/A", "n/a", "-nan", "inf", "1e3", "007", "true"])
def test_every_format_gives_the_text_that_was_written(folder, suffix, label):
    if label.startswith("-"):
        label = f"x{label}"  # as it is, it would be a formula
    FORMATS[suffix](folder / f"my clips{suffix}", cells(label=label))
    assert readers.read("table", folder).table["label"][0] == label.lower()


@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
@pytest.mark.parametrize(
    ("column", "cell", "kind"),
    [
        ("label", datetime.date(2024, 3, 5), "a date"),
        ("subject", datetime.date(2024, 3, 5), "a date"),
        ("onset", datetime.date(1970, 1, 7), "a date"),
        ("label", True, "a truth value"),
    ],
)
def test_a_cell_that_a_spreadsheet_program_has_changed_is_refused(folder, suffix, column, cell, kind):
    FORMATS[suffix](folder / f"my clips{suffix}", cells(**{column: cell}))
    with pytest.raises(InputError) as error:
        readers.read("table", folder)
    assert f"my clips{suffix}:2: {column}: {kind} ({cell}" in str(error.value)
    assert "found 1 other cell:" in str(error.value) and "Format the column as text" in str(error.value)


@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
def test_a_date_in_a_column_that_is_not_read_does_not_matter(folder, suffix):
    table = cells()
    FORMATS[suffix](
        folder / f"my clips{suffix}",
        [[*row, "recorded" if not n else datetime.date(2024, 3, n)] for n, row in enumerate(table)],
    )
    assert len(readers.read("table", folder).table) == 4
