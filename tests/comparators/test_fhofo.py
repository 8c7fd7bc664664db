"""FHOFO by its closed forms."""

import numpy as np
import pytest

from pipeline.comparators import describe


def fhofo(flow, **settings):
    return describe("fhofo", flow, **{"grid": (3, 3), "steps": 2, **settings})


def rotated(flow, degrees):
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    u, v = flow[:, 0].astype(float), flow[:, 1].astype(float)
    return np.stack([cosine * u - sine * v, sine * u + cosine * v], axis=1)


def test_every_histogram_sums_to_one(flow):
    np.testing.assert_allclose(fhofo(flow).sum(axis=-1), 1, rtol=1e-6)


def test_half_a_turn_rolls_the_bins_by_half(flow):
    np.testing.assert_allclose(fhofo(-flow), np.roll(fhofo(flow), 9, axis=-1), rtol=0, atol=1e-8)


def test_twenty_degrees_roll_the_bins_by_one():
    flow = np.random.default_rng(0).normal(size=(4, 2, 96, 96)) + np.array([1.0, 0.5])[:, None, None]
    settings = {"grid": (2, 2), "steps": 1}
    turned = fhofo(rotated(flow, 20), **settings)
    np.testing.assert_allclose(turned, np.roll(fhofo(flow, **settings), 1, axis=-1), atol=1e-4)
    assert np.ptp(turned) > 0.02


@pytest.mark.parametrize("factor", [5.0, 0.25])
def test_length_does_not_matter(flow, factor):
    np.testing.assert_array_equal(fhofo(factor * flow), fhofo(flow))
    lengths = np.random.default_rng(0).choice([0.5, 1, 4], size=(8, 1, 36, 36))
    np.testing.assert_array_equal(fhofo((flow * lengths).astype(np.float32)), fhofo(flow))


def test_vectors_of_length_zero_have_no_vote(flow):
    sparse = flow.copy()
    sparse[:, :, ::2] = 0
    only = np.broadcast_to((np.arange(36) % 2 == 1)[:, None], (36, 36))
    regions = np.where(only, np.add.outer(np.arange(36) // 12 * 3, np.arange(36) // 12), -1)
    np.testing.assert_array_equal(fhofo(sparse), describe("fhofo", flow, regions=regions, steps=2))


def test_a_field_of_zeros_is_zeros():
    assert (fhofo(np.zeros((8, 2, 36, 36), np.float32)) == 0).all()


def test_the_membership_is_a_gaussian_around_the_circle():
    flow = np.zeros((2, 2, 12, 12), np.float32)
    flow[:, 0] = 1  # to the right: fine bin 0
    found = fhofo(flow, steps=1)[0, 0]
    distance = 50 * np.minimum(np.arange(18), 18 - np.arange(18)) / 18
    expected = np.exp(-(distance**2) / 200)
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-5)
    assert found.argmax() == 0 and found[1] == found[17]


def test_a_mirrored_field_has_mirrored_bins(flow):
    mirrored = flow[:, :, :, ::-1] * np.float32([-1, 1])[:, None, None]
    plain, other = (fhofo(each).reshape(2, 3, 3, 18) for each in (flow, mirrored))
    np.testing.assert_allclose(other[:, :, ::-1, (9 - np.arange(18)) % 18], plain, atol=1e-6)


def test_steps_in_time_are_described_apart(flow):
    changed = flow.copy()
    changed[4:] *= -1
    np.testing.assert_array_equal(fhofo(changed)[0], fhofo(flow)[0])
    np.testing.assert_allclose(fhofo(changed)[1], np.roll(fhofo(flow)[1], 9, axis=-1), atol=1e-8)
    # Over the whole clip, motion and its reverse leave nothing of the direction.
    there_and_back = np.concatenate([flow, -flow])
    whole = fhofo(there_and_back, steps=1)
    np.testing.assert_allclose(whole, np.roll(whole, 9, axis=-1), atol=1e-8)
