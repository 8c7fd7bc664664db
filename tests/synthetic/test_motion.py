"""The flow that follows from a motion: translations, stretches, and what cannot be inverted."""

import numpy as np
import pytest

from pipeline.synthetic.motion import first_frame_positions, true_flow


def still(frames: int) -> np.ndarray:
    """The map of a head that does not move, (frames, 2, 3)."""
    return np.tile(np.eye(3, dtype=np.float32)[:2], (frames, 1, 1))


def test_a_field_that_folds_cannot_be_inverted():
    x = np.arange(64, dtype=np.float32)
    fold = np.zeros((2, 64, 64), np.float32)
    fold[0] = 12 * np.sin(x / 3)
    with pytest.raises(ArithmeticError, match="cannot be inverted"):
        first_frame_positions(fold, still(1)[0])


def test_true_flow_of_a_translation_is_the_translation():
    basis = np.ones((1, 2, 32, 40), np.float16)
    profile = np.array([[0.0], [1.5], [0.5]], np.float32)
    head = still(3)
    head[:, :, 2] = [[0, 0], [0.25, -1], [2, 1]]
    flow = true_flow(basis, profile, head, 1, 2)
    assert flow.shape == (2, 32, 40) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[0], -1.0 + 1.75, atol=1e-4)
    np.testing.assert_allclose(flow[1], -1.0 + 2.0, atol=1e-4)


def test_a_head_that_only_drifts_is_one_subtraction():
    """So that the frames of such a head have the bytes that they had before heads could turn."""
    head = still(1)[0]
    head[:, 2] = [0.3, -1.7]
    x, y = np.meshgrid(np.arange(40, dtype=np.float32), np.arange(32, dtype=np.float32))
    found = first_frame_positions(np.zeros((2, 32, 40), np.float32), head)
    np.testing.assert_array_equal(found, [x - np.float32(0.3), y - np.float32(-1.7)])


def test_true_flow_of_a_turning_head_is_the_turn():
    """Between two frames turned by 0.02 and 0.05 about the origin, (x, y) moves as a turn by 0.03 moves it."""
    turns = np.array([0.0, 0.02, 0.05])
    head = still(3)
    head[:, :, :2] = np.array([[np.cos(turns), -np.sin(turns)], [np.sin(turns), np.cos(turns)]]).transpose(2, 0, 1)
    flow = true_flow(np.zeros((1, 2, 32, 40), np.float16), np.zeros((3, 1), np.float32), head, 1, 2)
    x, y = np.meshgrid(np.arange(40), np.arange(32))
    np.testing.assert_allclose(flow[0], np.cos(0.03) * x - np.sin(0.03) * y - x, atol=1e-4)
    np.testing.assert_allclose(flow[1], np.sin(0.03) * x + np.cos(0.03) * y - y, atol=1e-4)


def test_the_head_carries_the_expression_along():
    """The expression shifts by 1 to the right, the head doubles everything: a point at x is at 2 (x + 1)."""
    basis = np.zeros((1, 2, 32, 40), np.float16)
    basis[0, 0] = 1.0
    head = still(2)
    head[1, :, :2] *= 2
    flow = true_flow(basis, np.array([[0.0], [1.0]], np.float32), head, 0, 1)
    x, y = np.meshgrid(np.arange(40), np.arange(32))
    np.testing.assert_allclose(flow, [2 * (x + 1) - x, y], atol=1e-4)


def test_true_flow_of_a_stretch_is_taken_on_the_grid_of_the_frame_it_starts_from():
    """x -> x + 0.1 t x: what is at y in frame 1 was at y / 1.1, and is at 1.2 / 1.1 y in frame 2."""
    x = np.arange(64, dtype=np.float32)
    basis = np.zeros((1, 2, 48, 64), np.float32)
    basis[0, 0] = 0.1 * x
    profile, head = np.array([[0.0], [1], [2]], np.float32), still(3)
    np.testing.assert_allclose(true_flow(basis, profile, head, 0, 2)[0], np.tile(0.2 * x, (48, 1)), atol=1e-3)
    np.testing.assert_allclose(true_flow(basis, profile, head, 1, 2)[0], np.tile(0.1 / 1.1 * x, (48, 1)), atol=5e-3)
    np.testing.assert_allclose(true_flow(basis, profile, head, 1, 0)[0], np.tile(-0.1 / 1.1 * x, (48, 1)), atol=5e-3)
    assert not true_flow(basis, profile, head, 1, 2)[1].any()
