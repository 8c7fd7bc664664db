"""MDMO and sparse MDMO by their closed forms, and the displacement that they describe."""

import numpy as np
import pytest

from pipeline.comparators import describe
from pipeline.comparators.shared import main_directions, trajectories

GRID = {"grid": (3, 3)}


def uniform(u, v, steps=8):
    return np.broadcast_to(np.float32([u, v])[:, None, None], (steps, 2, 36, 36)).copy()


def ramp(steps=6, gain=0.02):
    """Motion to the right that grows with x: u = gain · (x - 5)."""
    flow = np.zeros((steps, 2, 36, 36), np.float32)
    flow[:, 0] = gain * (np.arange(36) - 5)
    return flow


def test_pixels_are_followed():
    # x - 5 grows by the factor 1 + gain in every step, as long as the pixel stays within the picture.
    moved = trajectories.displacement(ramp())
    x = np.arange(3, 30)  # none of these leaves the picture
    for step in range(6):
        expected = (x - 5) * (1.02 ** (step + 1) - 1)
        np.testing.assert_allclose(moved[step, 0, 10, 3:30], expected, atol=2e-3)
    assert (moved[:, 1] == 0).all()


def test_displacement_adds_up_both_ways_and_stays_within_the_picture():
    np.testing.assert_allclose(trajectories.displacement(uniform(2.0, -3.0))[-1, :, 4, 4], (16, -24), rtol=1e-6)
    there_and_back = np.concatenate([uniform(0.5, 0.25, 3), uniform(-0.5, -0.25, 3)])
    np.testing.assert_allclose(trajectories.displacement(there_and_back)[-1], 0, atol=1e-6)


@pytest.mark.parametrize("vector", [(0.3, -0.2), (-0.1, 0.4), (-0.2, 0.0), (0.0, 0.1)])
def test_a_uniform_field_has_full_length_and_one_angle(vector):
    lengths, angles = describe("mdmo", uniform(*vector), **GRID)
    np.testing.assert_allclose(lengths, 0.9, rtol=1e-5)
    np.testing.assert_allclose(angles, 0.1 * np.arctan2(vector[1], vector[0]), rtol=1e-5, atol=1e-7)
    lengths, angles = describe("mdmo", uniform(*vector), weight=0.25, **GRID)
    np.testing.assert_allclose(lengths, 0.25, rtol=1e-5)
    np.testing.assert_allclose(angles, 0.75 * np.arctan2(vector[1], vector[0]), rtol=1e-5, atol=1e-7)


def test_lengths_are_relative_to_the_longest(flow):
    lengths, angles = describe("mdmo", flow, **GRID)
    assert lengths.max() == np.float32(0.9) and lengths.min() >= 0 and np.ptp(lengths) > 0.1
    displacement = trajectories.displacement(flow)
    regions = np.add.outer(np.arange(36) // 12 * 3, np.arange(36) // 12)
    for factor in (1, 3):
        vectors = main_directions.mean_vectors(factor * displacement, regions).mean(axis=0)
        np.testing.assert_allclose(main_directions.weighted_polar(vectors, 0.9), (lengths, angles), rtol=1e-4)


def test_the_fullest_of_eight_directions_counts():
    field = np.zeros((1, 2, 10, 10), np.float32)
    vectors = [(1, 0.05)] * 30 + [(1, -0.05)] * 10 + [(0.9, 0.8)] * 35 + [(-5, 0)] * 25
    field[0].reshape(2, 100)[:] = np.transpose(vectors)
    found = main_directions.mean_vectors(field, np.zeros((10, 10), int))
    np.testing.assert_allclose(found[0, 0], (1, 0.025), rtol=1e-5)


def test_vectors_of_length_zero_do_not_count():
    field = np.zeros((1, 2, 10, 10), np.float32)
    field[0, :, :2, :3] = np.array([-0.5, 0.5])[:, None, None]
    found = main_directions.mean_vectors(field, np.zeros((10, 10), int))
    np.testing.assert_allclose(found[0, 0], (-0.5, 0.5))


def test_angles_are_averaged_as_vectors():
    # Directions of 0.1 and -0.1 in turn: on average 0, not π.
    flow = np.concatenate([uniform(1, 0.1, 1), uniform(1, -0.3, 1), uniform(1, 0.3, 1)])
    vectors = main_directions.mean_vectors(flow, np.zeros((36, 36), int))
    polar = main_directions.weighted_polar(vectors.mean(axis=0), 0.9)
    np.testing.assert_allclose(polar[1], 0.1 * np.arctan2(0.1 / 3, 1), rtol=1e-5)


def test_a_mirrored_field_has_mirrored_angles(flow):
    # A main direction in each region, in the middle of a bin, so that no count is close.
    angles = np.pi / 4 * np.array([[0, 1, 2], [3, 5, 6], [7, 1, 3]]).repeat(12, axis=0).repeat(12, axis=1)
    flow = 0.05 * flow + 0.3 * np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    mirrored = flow[:, :, :, ::-1] * np.float32([-1, 1])[:, None, None]
    plain, other = (describe("mdmo", each, **GRID).reshape(2, 3, 3) for each in (flow, mirrored))
    other = other[:, :, ::-1]
    np.testing.assert_allclose(other[0], plain[0], atol=1e-2)
    np.testing.assert_allclose(np.cos(other[1] / 0.1), -np.cos(plain[1] / 0.1), atol=2e-2)
    np.testing.assert_allclose(np.sin(other[1] / 0.1), np.sin(plain[1] / 0.1), atol=2e-2)


def test_sparse_mdmo_keeps_the_frames_apart():
    flow = np.concatenate([uniform(0.5, 0, 2), uniform(0, 0.5, 2)])
    rows = describe("sparse_mdmo", flow, **GRID).reshape(4, 2, 9)
    displacement = np.array([(0.5, 0), (1, 0), (1, 0.5), (1, 1)])
    lengths = np.hypot(*displacement.T) / np.sqrt(2)
    np.testing.assert_allclose(rows[:, 0], np.repeat(0.9 * lengths[:, None], 9, axis=1), rtol=1e-5)
    angles = np.arctan2(displacement[:, 1], displacement[:, 0])
    np.testing.assert_allclose(rows[:, 1], np.repeat(0.1 * angles[:, None], 9, axis=1), rtol=1e-5)
