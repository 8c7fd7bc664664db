"""Clips that lack frames: refused, or used from the nearest frames that exist."""

import pytest

from pipeline.databases import missing_frames, table
from pipeline.databases.missing_frames import Span, span
from pipeline.errors import InputError
from pipeline.storage import n_missing
from tests.conftest import write_frame


def without(first, last, *missing):
    return [number for number in range(first, last + 1) if number not in missing]


@pytest.mark.parametrize(
    ("annotated", "numbers", "largest", "expected"),
    [
        ((10, 14, 20), without(10, 20), 0, Span(10, 14, 20, 0)),
        ((10, 25, 20), without(1, 30), 0, Span(10, None, 20, 0)),  # an apex outside is unknown
        ((10, None, 20), without(10, 20, 13), 0, None),
        ((10, None, 20), without(10, 20, 13), 1, Span(10, None, 20, 1)),
        ((10, None, 20), without(10, 20, 13, 14, 17), 1, None),
        ((10, None, 20), without(10, 20, 13, 14, 17), 2, Span(10, None, 20, 3)),  # gaps count one by one
        ((10, 14, 20), without(10, 20, 14, 15), 2, Span(10, 13, 20, 2)),
        ((10, 14, 20), without(10, 20, 13, 14), 2, Span(10, 15, 20, 2)),
        ((10, 14, 20), without(10, 20, 13, 14, 15), 3, Span(10, 12, 20, 3)),  # equally near: the earlier one
        # The first frames of a video do not exist.
        ((1, 5, 20), without(8, 20), 7, Span(8, 8, 20, 7)),
        ((1, 5, 20), without(8, 20), 6, None),
        ((10, 14, 20), without(10, 17), 3, Span(10, 14, 17, 3)),
        ((10, 14, 20), without(10, 17), 2, None),
        # The nearest frame is outside of the clip, or, equally near, inside.
        ((10, 14, 20), without(1, 30, 10, 11), 2, Span(9, 14, 20, 2)),
        ((10, 14, 20), without(1, 30, 10), 1, Span(11, 14, 20, 1)),
        ((10, 14, 20), without(1, 30, 19, 20), 2, Span(10, 14, 21, 2)),
        ((10, 14, 20), without(1, 30, 20), 1, Span(10, 14, 19, 1)),
        # A gap that goes on outside of the clip is crossed only where all of it is short enough.
        ((10, 14, 20), without(1, 30, 8, 9, 10, 11, 12), 4, Span(13, 14, 20, 3)),
        ((10, 14, 20), without(1, 30, 9, 10, 11, 12), 4, Span(8, 14, 20, 3)),
        ((10, 14, 20), without(1, 30, 9, 10, 11, 12, 13), 4, Span(14, 14, 20, 4)),
        ((10, 14, 20), without(1, 30, 9, 10, 11, 12, 13), 5, Span(8, 14, 20, 4)),
        ((10, 14, 20), without(1, 30, 17, 18, 19, 20, 21), 4, Span(10, 14, 16, 4)),
        ((10, 14, 20), without(1, 30, 17, 18, 19, 20, 21), 5, Span(10, 14, 22, 4)),
        ((10, 14, 20), [1, 2, 3, *range(11, 21)], 1, Span(11, 14, 20, 1)),  # another clip in the folder
        ((10, None, 20), [], 11, None),
        ((10, None, 20), [15], 11, None),
    ],
)
def test_onset_apex_and_offset_move_to_the_nearest_frames_that_exist(annotated, numbers, largest, expected):
    assert span(*annotated, numbers, largest) == expected


def test_a_far_offset_costs_no_time_and_no_memory():
    far = 10**300
    assert span(1, None, far, [1, 2, 3], 1000) is None
    assert missing_frames.listed(1, far, [1, 2, 3]) == f"frames 4-{far}"


@pytest.fixture
def folder(tmp_path):
    """A table of two clips: one whole, one from 8 to 20 of which the frames 8, 12 and 13 are missing."""
    text = "clip,subject,label,onset,apex,offset,frames\na/1,a,happy,8,13,20,one\nb/1,b,sad,8,13,20,two\n"
    (tmp_path / "clips.csv").write_text(text)
    for name, missing in (("one", ()), ("two", (8, 12, 13))):
        (tmp_path / name).mkdir()
        for number in without(8, 20, *missing):
            write_frame(tmp_path / name / f"img{number}.jpg", number, 8, 8)
    return tmp_path


def test_missing_frames_are_refused_unless_they_are_allowed(folder):
    with pytest.raises(InputError) as error:
        table.read(folder)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("1 defect in this copy of table:")
    assert lines[1] == f"  clips.csv:3: b/1: frames 8, 12-13 of 8-20 missing in {folder / 'two'}"
    assert lines[3] == (
        "1 clip lacks frames, up to 2 in a row. To interpolate over short gaps: --missing-frames N (missing_frames in "
        "params.yaml) allows up to N frames in a row."
    )


def test_a_gap_that_is_too_long_is_refused_and_says_what_is_allowed(folder):
    with pytest.raises(
        InputError, match=r"frames 8, 12-13 of 8-20 missing in .*, and gaps of more than 1 are not allowed"
    ):
        table.read(folder, largest_gap=1)


def test_allowed_gaps_are_counted_and_described(folder):
    reading = table.read(folder, largest_gap=2)
    columns = ["clip", "onset", "apex", "offset", "n_frames", "n_missing"]
    assert reading.table[columns].values.tolist() == [["a/1", 8, 13, 20, 13, 0], ["b/1", 9, 14, 20, 12, 3]]
    assert reading.mended == ("b/1: frames 8, 12-13 of 8-20 missing, onset 9 instead of 8, apex 14 instead of 13",)
    assert n_missing.counts(reading.table) == {"b/1": 3}
    assert reading.rows == 2


def test_a_table_of_clips_without_gaps_has_the_columns_that_it_always_had(folder):
    for number in (8, 12, 13):
        write_frame(folder / "two" / f"img{number}.jpg", number, 8, 8)
    refused, allowed = table.read(folder).table, table.read(folder, largest_gap=2).table
    assert list(refused.columns) == ["clip", "subject", "label", "onset", "apex", "offset", "n_frames", "frames"]
    assert list(allowed["n_missing"]) == [0, 0] and refused.equals(allowed.drop(columns="n_missing"))
    assert not n_missing.counts(refused) and not n_missing.counts(allowed)


def test_a_damaged_frame_that_the_clip_reaches_only_by_moving_is_found(folder):
    text = (folder / "clips.csv").read_text().replace("b/1,b,sad,8,", "b/1,b,sad,13,")
    (folder / "clips.csv").write_text(text)
    (folder / "two/img12.jpg").write_bytes(b"")
    (folder / "two/img11.jpg").unlink()
    (folder / "two/img14.jpg").unlink()
    with pytest.raises(InputError, match=r"img12\.jpg is empty"):
        table.read(folder, largest_gap=3)
