"""One glance at the embedded dataset shows what moves, and where to."""

import numpy as np

from pipeline.frames.contact_sheet import HEIGHT
from pipeline.synthetic import overview

GREY = np.full((100, 80, 3), 128, np.uint8)


def yellow(picture):
    """Which pixels an arrow has coloured."""
    return picture[..., 0].astype(int) - picture[..., 2] > 60


def test_arrows_are_where_the_face_moves_and_nowhere_else():
    displacement = np.zeros((2, 100, 80), np.float32)
    displacement[0, 60:, :40] = 0.5  # to the right, lower left quarter
    displacement[0, :50, :] = 0.05  # a tenth of that: too little for an arrow
    drawn = yellow(overview.arrows(GREY, displacement))
    assert drawn.shape == (HEIGHT, 160)
    rows, columns = np.nonzero(drawn)
    assert rows.min() > 115 and columns.max() < 80 + 17 and drawn[120:, :80].mean() > 0.05


def test_without_motion_there_is_no_arrow():
    assert not yellow(overview.arrows(GREY, np.zeros((2, 100, 80)))).any()


def test_a_clip_is_shown_in_the_colours_of_its_frames_with_its_units():
    blue = np.zeros((100, 80, 3), np.uint8)
    blue[..., 0] = 200  # BGR
    shown = overview.pictures("disgust", (4, 9), blue, blue, np.zeros((2, 100, 80)))
    assert [caption for caption, _ in shown] == ["disgust: onset", "apex, AU 4+9", "motion"]
    assert tuple(shown[0][1][0, 0]) == tuple(shown[1][1][0, 0]) == (0, 0, 200)


def test_a_subject_is_a_row_and_a_class_that_it_does_not_show_is_left_out():
    dark, light = (np.full((HEIGHT, 100, 3), level, np.uint8) for level in (0, 180))
    shown = {("s2", "a"): [("x", dark)], ("s1", "b"): [("x", dark)], ("s1", "a"): [("x", light)]}
    sheet = overview.overview(shown, ["a", "b"])
    above, below = np.split(sheet, 2)
    middle = len(above) // 2
    assert tuple(above[middle, [50, 160], 0]) == (180, 0)  # class a, then b, of s1
    assert tuple(below[middle, [50, 160], 0]) == (0, 245)  # class a of s2, then paper
