"""LBP-TOP by its closed forms."""

import numpy as np
import pytest

from pipeline.comparators import describe

XY, XT, YT = 0, 1, 2


def bits(codes, order):
    """Bin that each of 16 codes moves to when bit `order[p]` becomes bit p."""
    return np.array([sum((code >> source & 1) << p for p, source in enumerate(order)) for code in codes])


def swapped(histograms, order):
    out = np.empty_like(histograms)
    out[..., bits(np.arange(16), order)] = histograms
    return out


def lbp_top(frames, **settings):
    """(t, y, x, plane, bin)."""
    blocks = settings.setdefault("blocks", (1, 3, 3))
    return describe("lbp_top", frames, **settings).reshape(*blocks, 3, -1)


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("level", [0, 3, 90, 255])
def test_a_constant_clip_has_all_mass_in_the_last_code(neighbours, level):
    histograms = lbp_top(np.full((12, 20, 20, 3), level, np.uint8), neighbours=neighbours)
    assert (histograms[..., -1] == 1).all() and histograms.sum() == 27


def test_a_constant_colour_is_a_constant_clip():
    frames = np.tile(np.array([201, 133, 97], np.uint8), (12, 20, 20, 1))
    assert (lbp_top(frames, neighbours=8)[..., 255] == 1).all()


def test_every_histogram_sums_to_one(grey_frames):
    np.testing.assert_allclose(lbp_top(grey_frames, blocks=(2, 3, 4)).sum(axis=-1), 1, rtol=1e-6)


def test_in_a_still_clip_the_neighbours_in_time_are_not_smaller(grey_frames):
    still = np.repeat(grey_frames[:1], 12, axis=0)
    histograms = lbp_top(still)
    without = [code for code in range(16) if code & 0b1010 != 0b1010]
    assert (histograms[..., XT, without] == 0).all() and (histograms[..., YT, without] == 0).all()
    assert (histograms[..., XY, without] > 0).any()


def test_brightness_and_contrast_change_nothing(grey_frames):
    colour = grey_frames.copy()
    colour[..., 0] += 30
    colour[..., 2] = colour[::-1, ..., 2]
    for frames in (grey_frames, colour):
        for changed in (frames + 25, frames * 2, frames // 1 + 7):
            assert changed.dtype == np.uint8
        np.testing.assert_array_equal(lbp_top(frames + 25), lbp_top(frames))
        np.testing.assert_array_equal(lbp_top((frames // 2) * 2 + 9), lbp_top(frames // 2))
        np.testing.assert_array_equal(lbp_top((frames // 2) * 2 + 9, neighbours=8), lbp_top(frames // 2, neighbours=8))


def test_transposed_frames_swap_xt_and_yt(grey_frames):
    plain, transposed = lbp_top(grey_frames), lbp_top(grey_frames.swapaxes(1, 2))
    there = transposed.swapaxes(1, 2)
    np.testing.assert_array_equal(there[..., XT, :], plain[..., YT, :])
    np.testing.assert_array_equal(there[..., YT, :], plain[..., XT, :])
    # +x, -y, -x, +y become +y, -x, -y, +x
    np.testing.assert_array_equal(there[..., XY, :], swapped(plain, [3, 2, 1, 0])[..., XY, :])


def test_a_mirrored_clip_swaps_left_and_right(grey_frames):
    plain, mirrored = lbp_top(grey_frames), lbp_top(grey_frames[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(mirrored[..., :2, :], swapped(plain, [2, 1, 0, 3])[..., :2, :])
    np.testing.assert_array_equal(mirrored[..., YT, :], plain[..., YT, :])


def test_a_reversed_clip_swaps_before_and_after(grey_frames):
    plain, reversed_ = lbp_top(grey_frames), lbp_top(grey_frames[::-1])
    np.testing.assert_array_equal(reversed_[..., XY, :], plain[..., XY, :])
    np.testing.assert_array_equal(reversed_[..., 1:, :], swapped(plain, [0, 3, 2, 1])[..., 1:, :])


def test_a_ramp_to_the_right_has_one_code():
    ramp = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None] * 5, (12, 20, 20, 3))
    histograms = lbp_top(ramp)
    assert (histograms[..., XY, 0b1011] == 1).all()
    assert (histograms[..., XT, 0b1011] == 1).all()
    assert (histograms[..., YT, 0b1111] == 1).all()


def test_radii_are_along_x_y_and_t():
    rng = np.random.default_rng(0)
    grey = rng.integers(200, size=(16, 24, 28), dtype=np.uint8)
    x, y, t = 2, 3, 5
    frames = np.repeat(grey[..., None], 3, axis=-1)
    histograms = describe("lbp_top", frames, blocks=(1, 1, 1), radii=(x, y, t))[0]
    volume = grey.astype(int)
    centre = volume[t:-t, y:-y, x:-x]
    right, left = volume[t:-t, y:-y, 2 * x :], volume[t:-t, y:-y, : -2 * x]
    up, down = volume[t:-t, : -2 * y, x:-x], volume[t:-t, 2 * y :, x:-x]
    after, before = volume[2 * t :, y:-y, x:-x], volume[: -2 * t, y:-y, x:-x]
    planes = [(right, up, left, down), (right, after, left, before), (down, after, up, before)]
    for plane, neighbours in enumerate(planes):
        codes = sum((each >= centre).astype(int) << p for p, each in enumerate(neighbours))
        np.testing.assert_allclose(histograms[plane], np.bincount(codes.ravel(), minlength=16) / codes.size, rtol=1e-6)


def test_uniform_patterns_are_sums_of_full_ones(grey_frames):
    full = lbp_top(grey_frames, neighbours=8)
    u2 = lbp_top(grey_frames, neighbours=8, patterns="u2")
    assert u2.shape[-1] == 59
    assert lbp_top(grey_frames, patterns="u2").shape[-1] == 15
    np.testing.assert_array_equal(u2[..., 0], full[..., 0])
    np.testing.assert_array_equal(u2[..., 57], full[..., 255])
    np.testing.assert_allclose(u2[..., :58].sum(axis=-1) + u2[..., 58], 1, rtol=1e-6)
