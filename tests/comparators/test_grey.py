"""Grey levels of colours."""

import numpy as np

from pipeline.comparators.shared.grey import EQUAL, grey

SAME_LUMA = np.array([[35, 160, 154], [50, 151, 161]], np.uint8)
"""Two colours of one luma: 0.299 · 15 - 0.587 · 9 + 0.114 · 7 = 0."""


def test_grey_is_the_luma_of_bt_601():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7], [10, 20, 30]], np.uint8)
    found = grey(colours.reshape(1, 1, 5, 3))
    np.testing.assert_allclose(found[0, 0], [255 * 0.299, 255 * 0.587, 255 * 0.114, 7, 18.15])


def test_colours_of_one_luma_are_equal_up_to_rounding():
    first, second = grey(SAME_LUMA.reshape(1, 1, 2, 3))[0, 0]
    assert first != second and abs(first - second) < EQUAL
