"""FDM by its closed forms."""

import numpy as np
import pytest

from pipeline.comparators import describe


def fdm(flow, blocks=(2, 3, 3)):
    """(t, y, x, component)."""
    return describe("fdm", flow, blocks=blocks).reshape(*blocks, 2)


def uniform(u, v):
    return np.broadcast_to(np.float32([u, v])[:, None, None], (8, 2, 36, 36)).copy()


@pytest.mark.parametrize("vector", [(0.3, -0.2), (-1.5, 0.0), (1e-4, 2e-4)])
def test_a_uniform_field_is_its_own_direction(vector):
    np.testing.assert_allclose(fdm(uniform(*vector)), np.broadcast_to(vector, (2, 3, 3, 2)), rtol=1e-6)


def test_a_fifth_of_opposite_vectors_changes_nothing():
    flow = uniform(0.3, -0.2)
    flow[:, :, ::5] *= -1
    np.testing.assert_allclose(fdm(flow), np.broadcast_to((0.3, -0.2), (2, 3, 3, 2)), rtol=1e-6)


def directions(degrees, counts):
    """A field (1, 2, 1, n) of unit vectors."""
    angles = np.deg2rad(np.repeat(degrees, counts))
    return np.stack([np.cos(angles), np.sin(angles)]).reshape(1, 2, 1, -1)


def test_vectors_within_45_degrees_of_the_mean_count():
    # The mean of all is at 32° and within 45° of all: it stays at once.
    field = directions([0, 40, 70], [60, 30, 45])
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), field.reshape(2, -1).mean(axis=1), rtol=1e-5)
    # Of the mean of all at 29°, those at 80° are 51° away.
    field = directions([0, 40, 80], [60, 40, 25])
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), field[0, :, 0, :100].mean(axis=1), rtol=1e-5)


def test_the_direction_is_sought_until_it_stays():
    # The mean of all is at 29°: the first step leaves out those at 100°, the next one, from 8°, those at 62°, too.
    field = directions([0, 62, 100], [60, 10, 25])
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), (1, 0), atol=1e-6)


def test_vectors_of_length_zero_have_no_direction():
    flow = uniform(0.3, -0.2)
    flow[:, :, :, ::2] = 0
    np.testing.assert_allclose(fdm(flow), np.broadcast_to((0.3, -0.2), (2, 3, 3, 2)), rtol=1e-6)


def test_opposite_halves_have_no_direction():
    flow = uniform(0.25, -0.5)
    flow[:, :, ::2] *= -1
    assert (fdm(flow) == 0).all()


def test_a_mirrored_field_has_mirrored_directions(flow):
    mirrored = flow[:, :, :, ::-1] * np.float32([-1, 1])[:, None, None]
    np.testing.assert_allclose(fdm(mirrored)[:, :, ::-1] * [-1, 1], fdm(flow), rtol=1e-6, atol=1e-7)


def test_a_reversed_clip_reverses_steps(flow):
    np.testing.assert_allclose(fdm(flow[::-1])[::-1], fdm(flow), rtol=1e-6, atol=1e-7)


def test_cuboids_are_described_on_their_own(flow):
    changed = flow.copy()
    changed[4:, :, :12, :12] = 0.5
    different = (fdm(changed) != fdm(flow)).any(axis=-1)
    assert different[1, 0, 0] and different.sum() == 1
