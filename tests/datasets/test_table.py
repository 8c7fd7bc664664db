"""A table of clips of one's own."""

import pandas as pd
import pytest

from pipeline.datasets import DATASETS
from pipeline.errors import InputError
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
    return DATASETS["table"].read(folder, **options)


def test_a_table_without_apex_is_enough_and_its_labels_are_the_classes(folder):
    reading = read(folder, rows())
    assert reading.classes == ("anger", "joy")
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
    again = DATASETS["table"].read(folder).table
    assert again.to_csv() == table.to_csv()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": "006"}, "expected an id of letters.* of no other clip's level"),
        ({"clip": "../x"}, "expected an id of letters"),
        ({"clip": "/x"}, "expected an id of letters"),
        ({"clip": "007/a"}, "the same clip is already in my clips.csv:2"),
        ({"subject": "two words"}, "expected a subject of letters.*'two words'"),
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


def test_a_missing_column_is_named(folder):
    (folder / "x.xlsx").unlink(missing_ok=True)
    pd.DataFrame(rows()).drop(columns="label").to_excel(folder / "x.xlsx", index=False)
    with pytest.raises(InputError, match=r"x\.xlsx has no column label"):
        DATASETS["table"].read(folder)
