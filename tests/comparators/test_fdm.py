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


def test_the_direction_is_sought_until_it_stays():
    # 60 vectors at 0°, 40 at 40°, 25 at 80°: their mean is at about 29° and takes in those at 0° and 40°, whose mean
    # is at about 16°. Vectors at 60° of the mean of all, which a single step would take in, are out in the end.
    angles = np.deg2rad(np.repeat([0, 40, 80], [60, 40, 25]))
    field = np.stack([np.cos(angles), np.sin(angles)]).reshape(1, 2, 5, 25)
    first_two = np.stack([np.cos(angles), np.sin(angles)])[:, :100].mean(axis=1)
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), first_two, rtol=1e-5)

    angles = np.deg2rad(np.repeat([0, 40, 70], [60, 30, 45]))
    field = np.stack([np.cos(angles), np.sin(angles)]).reshape(1, 2, 5, 27)
    # The mean of all is at 32° and within 45° of all: it stays at once.
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), field.reshape(2, -1).mean(axis=1), rtol=1e-5)

    angles = np.deg2rad(np.repeat([0, 50, 100], [60, 40, 9]))
    field = np.stack([np.cos(angles), np.sin(angles)]).reshape(1, 2, 1, 109)
    mean = field.reshape(2, -1).mean(axis=1)
    assert np.rad2deg(np.arctan2(*mean[::-1])) < 45
    two = field.reshape(2, -1)[:, :100].mean(axis=1)
    np.testing.assert_allclose(fdm(field, (1, 1, 1)).ravel(), two, rtol=1e-5)


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
