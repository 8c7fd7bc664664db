"""The flow that follows from a motion: translations, stretches, and what cannot be inverted."""

import numpy as np
import pytest

from pipeline.synthetic.motion import first_frame_positions, true_flow


def test_a_field_that_folds_cannot_be_inverted():
    x = np.arange(64, dtype=np.float32)
    fold = np.zeros((2, 64, 64), np.float32)
    fold[0] = 12 * np.sin(x / 3)
    with pytest.raises(ArithmeticError, match="cannot be inverted"):
        first_frame_positions(fold, np.zeros(2))


def test_true_flow_of_a_translation_is_the_translation():
    basis = np.ones((1, 2, 32, 40), np.float16)
    profile = np.array([[0.0], [1.5], [0.5]], np.float32)
    drift = np.array([[0, 0], [0.25, -1], [2, 1]], np.float32)
    flow = true_flow(basis, profile, drift, 1, 2)
    assert flow.shape == (2, 32, 40) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[0], -1.0 + 1.75, atol=1e-4)
    np.testing.assert_allclose(flow[1], -1.0 + 2.0, atol=1e-4)


def test_true_flow_of_a_stretch_is_taken_on_the_grid_of_the_frame_it_starts_from():
    """x -> x + 0.1 t x: what is at y in frame 1 was at y / 1.1, and is at 1.2 / 1.1 y in frame 2."""
    x = np.arange(64, dtype=np.float32)
    basis = np.zeros((1, 2, 48, 64), np.float32)
    basis[0, 0] = 0.1 * x
    profile, drift = np.array([[0.0], [1], [2]], np.float32), np.zeros((3, 2), np.float32)
    np.testing.assert_allclose(true_flow(basis, profile, drift, 0, 2)[0], np.tile(0.2 * x, (48, 1)), atol=1e-3)
    np.testing.assert_allclose(true_flow(basis, profile, drift, 1, 2)[0], np.tile(0.1 / 1.1 * x, (48, 1)), atol=5e-3)
    np.testing.assert_allclose(true_flow(basis, profile, drift, 1, 0)[0], np.tile(-0.1 / 1.1 * x, (48, 1)), atol=5e-3)
    assert not true_flow(basis, profile, drift, 1, 2)[1].any()
