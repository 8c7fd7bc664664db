"""Small pictures of a flow field: strain by closed forms, area averages, and the stretch to 0..255."""

import numpy as np
import pytest

from pipeline.flow.pictures import pictures, resized, strain

S = 56
Y, X = np.mgrid[:S, :S].astype(np.float32)


def field(u, v):
    return np.stack([np.broadcast_to(u, (S, S)), np.broadcast_to(v, (S, S))]).astype(np.float32)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (field(3.0, -2.0), 0.0),  # a uniform field
        (field(-0.1 * Y, 0.1 * X), 0.0),  # a small turn
        (field(0.2 * Y, 0.0), 0.2 / 2**0.5),  # a pure shear
        (field(0.2 * X, 0.2 * Y), 0.2 * 2**0.5),  # a dilation
        (field(0.2 * X, 0.0), 0.2),  # a stretch of one axis
    ],
)
def test_strain_has_its_closed_form(flow, expected):
    np.testing.assert_allclose(strain(flow), expected, atol=1e-6)


def test_strain_of_a_wave_is_its_derivative_inside():
    wave = field(np.sin(2 * np.pi * X / S), 0.0)
    derivative = np.abs(2 * np.pi / S * np.cos(2 * np.pi * X / S))
    np.testing.assert_allclose(strain(wave)[:, 1:-1], derivative[:, 1:-1], atol=3e-4)


def test_a_picture_is_the_area_mean_stretched_to_255():
    flow = field(X, 2 * Y)
    shown = pictures(flow, 28)
    assert shown.shape == (3, 28, 28) and shown.dtype == np.float32
    means = X.reshape(28, 2, 28, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(shown[0], 255 * (means - means.min()) / (means.max() - means.min()), atol=1e-3)
    np.testing.assert_allclose(shown[1], shown[0].T, atol=1e-3)
    assert (shown[2] == 0).all()  # the strain is the same everywhere: there is nothing to stretch


@pytest.mark.parametrize("size", [28, 60])
def test_each_channel_of_a_clip_fills_its_range(size):
    flow = np.random.default_rng(0).normal(size=(2, 192, 192)) * [[[1]], [[50]]]
    shown = pictures(flow.astype(np.float16), size)
    np.testing.assert_allclose(shown.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(shown.max(axis=(1, 2)), 255, rtol=1e-6)


def test_a_clip_that_does_not_move_is_black_and_never_nan():
    assert (pictures(np.zeros((2, 64, 64), np.float16), 28) == 0).all()


def test_pixels_of_a_smaller_grid_are_larger():
    small = resized(field(4.0, -2.0), 28)
    np.testing.assert_allclose(small, [np.full((28, 28), 2.0), np.full((28, 28), -1.0)])


def test_a_field_smaller_than_its_pictures_is_enlarged():
    assert np.isfinite(pictures(np.random.default_rng(0).normal(size=(2, 32, 32)), 60)).all()
