"""Cells of the clip tables have types."""

import io

from pipeline.storage import tables
from pipeline.storage.clip_rows import clip_rows

TABLE = """clip,subject,label,onset,apex,offset,n_frames,frames
006/a,006,1,8,,11,4,frames/006/a
006/b,006,NA,8,9,11,4,frames/006/b
"""


def test_names_stay_text_and_frame_numbers_are_whole():
    first, second = clip_rows(tables.read(io.StringIO(TABLE)))
    assert (first.clip, first.subject, first.label, first.frames) == ("006/a", "006", "1", "frames/006/a")
    assert (first.onset, first.apex, first.offset) == (8, None, 11)
    assert second.label == "NA" and second.apex == 9
