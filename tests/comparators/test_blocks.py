"""Blocks cover a clip once, evenly and symmetrically; histograms count."""

import numpy as np
import pytest

from pipeline.comparators.shared import blocks
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("length", "parts"), [(190, 6), (190, 8), (192, 8), (19, 4), (5, 4), (7, 7), (12, 1), (9, 5), (11, 6)]
)
def test_sizes_differ_by_at_most_one(length, parts):
    edges = blocks.edges((length,), (parts,))[0]
    sizes = np.diff(edges)
    assert edges[0] == 0 and edges[-1] == length and np.ptp(sizes) <= 1 and sizes.min() >= 1


def test_blocks_lie_in_the_same_way_from_either_end():
    for length, parts in ((190, 6), (190, 8), (38, 4), (188, 5), (24, 7), (192, 8)):
        sizes = np.diff(blocks.edges((length,), (parts,))[0])
        np.testing.assert_array_equal(sizes, sizes[::-1])


def test_numbers_and_slices_agree():
    numbers = blocks.numbers((5, 7, 9), (2, 3, 4))
    again = np.full((5, 7, 9), -1)
    for number, block in enumerate(blocks.blocks((5, 7, 9), (2, 3, 4))):
        again[block] = number
    np.testing.assert_array_equal(numbers, again)


def test_histograms_sum_to_one_or_are_zero():
    codes = np.array([[0, 2, 2, 1], [2, 2, 1, 1]])
    voting = np.array([[True, True, False, False], [True, True, False, False]])
    np.testing.assert_allclose(blocks.histograms(codes, (1, 2), 3), [[0.25, 0, 0.75], [0, 0.75, 0.25]])
    np.testing.assert_allclose(blocks.histograms(codes, (1, 2), 3, voting), [[0.25, 0, 0.75], [0, 0, 0]])


def test_more_blocks_than_elements_are_an_error():
    with pytest.raises(InputError, match="a grid of 1 to 7 blocks over the 7 columns that can be described, found 8"):
        blocks.numbers((5, 7), (5, 8))
