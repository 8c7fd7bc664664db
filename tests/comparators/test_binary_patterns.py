"""Local binary patterns: codes, interpolation, bins of the u2 mapping."""

import numpy as np
import pytest

from pipeline.comparators.shared import binary_patterns
from pipeline.errors import InputError


def test_codes_are_the_sum_over_neighbours_that_are_not_smaller():
    values = np.random.default_rng(0).integers(5, size=(7, 9)).astype(float)
    offsets = np.array([(0, 1), (-1, 0), (0, -2), (2, 0)])
    codes = binary_patterns.codes(values, offsets.astype(float), margin=(2, 2))
    assert codes.shape == (3, 5)
    for row in range(3):
        for column in range(5):
            y, x = row + 2, column + 2
            bits = [values[y + dy, x + dx] >= values[y, x] for dy, dx in offsets]
            assert codes[row, column] == sum(int(bit) << p for p, bit in enumerate(bits))


def test_between_elements_values_are_interpolated_linearly():
    y, x = np.mgrid[:6, :6].astype(float)
    # 10 y + x is 0.3 · 10 - 0.7 > 0 away at (0.3, -0.7), and 0.3 · 1 - 0.7 · 10 < 0 at (-0.7, 0.3).
    codes = binary_patterns.codes(10 * y + x, np.array([(0.3, -0.7), (-0.7, 0.3)]), margin=(1, 1))
    assert (codes == 0b01).all()
    # Of all four elements around: the product of the coordinates is bilinear, so that interpolation is exact.
    corner = np.array([(0.25, 0.5)])
    exact = (y + 0.25) * (x + 0.5)
    for threshold, expected in ((exact - 1e-3, 1), (exact + 1e-3, 0)):
        for row, column in ((1, 1), (2, 3)):
            values = y * x
            values[row, column] = values[row, column] + 0
            lifted = values.copy()
            weight = 0.75 * 0.5  # of the centre in its own neighbour
            lifted[row, column] = (threshold[row, column] - weight * values[row, column]) / (1 - weight)
            assert binary_patterns.codes(lifted, corner, margin=(1, 1))[row - 1, column - 1] == expected


def test_equal_values_count_as_not_smaller_in_spite_of_rounding():
    for level in (0.1, 77.7, 254.9):
        codes = binary_patterns.codes(np.full((5, 5), level), binary_patterns.circle(8), margin=(1, 1))
        assert (codes == 255).all()


@pytest.mark.parametrize(("points", "bins"), [(4, 15), (8, 59)])
def test_uniform_patterns_have_a_bin_each_and_all_others_share_the_last(points, bins):
    mapping = binary_patterns.uniform_bins(points)
    assert len(mapping) == 2**points and mapping.max() == bins - 1
    circles = [f"{code:0{points}b}" for code in range(2**points)]
    changes = [sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True)) for bits in circles]
    uniform = np.array(changes) <= 2
    np.testing.assert_array_equal(mapping[uniform], np.arange(bins - 1))
    assert (mapping[~uniform] == bins - 1).all()


def test_the_circle_is_exact_on_the_axes():
    np.testing.assert_array_equal(binary_patterns.circle(4), [(1, 0), (0, 1), (-1, 0), (0, -1)])


def test_no_interior_is_an_error():
    with pytest.raises(InputError, match="found 4 × 9 elements and neighbours up to 2 × 2 away"):
        binary_patterns.codes(np.zeros((4, 9)), np.zeros((1, 2)), margin=(2, 2))
