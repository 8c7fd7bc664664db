"""LBP-SIP by its closed forms."""

import numpy as np

from pipeline.comparators import describe


def lbp_sip(frames, **settings):
    blocks = settings.setdefault("blocks", (1, 4, 4))
    return describe("lbp_sip", frames, **settings).reshape(*blocks, 20)


def test_reversed_time_swaps_the_two_bits_in_time_and_nothing_else(grey_frames):
    plain, reversed_ = lbp_sip(grey_frames), lbp_sip(grey_frames[::-1])
    np.testing.assert_array_equal(reversed_[..., :16], plain[..., :16])
    np.testing.assert_array_equal(reversed_[..., 16:], plain[..., [16, 18, 17, 19]])
    assert (plain[..., 17] != plain[..., 18]).any()


def test_a_mirrored_clip_swaps_left_and_right(grey_frames):
    plain, mirrored = lbp_sip(grey_frames), lbp_sip(grey_frames[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(mirrored[..., 16:], plain[..., 16:])
    codes = np.arange(16)
    other = (codes & 0b1010) | (codes & 1) << 2 | (codes >> 2 & 1)
    np.testing.assert_array_equal(mirrored[..., other], plain[..., :16])


def test_brightness_and_contrast_change_nothing(grey_frames):
    np.testing.assert_array_equal(lbp_sip(grey_frames * 2 + 9), lbp_sip(grey_frames))


def test_a_constant_clip_has_all_mass_in_the_last_codes():
    histograms = lbp_sip(np.full((12, 20, 20, 3), 40, np.uint8))
    assert (histograms[..., [15, 19]] == 1).all() and histograms.sum() == 2 * 16


def test_a_clip_that_brightens_has_later_frames_not_smaller():
    frames = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None, None], (12, 20, 20, 3))
    assert (lbp_sip(frames)[..., 16 + 0b01] == 1).all()


def test_the_codes_are_those_of_the_six_neighbours():
    grey = np.random.default_rng(0).integers(200, size=(14, 20, 22), dtype=np.uint8)
    x, y, t = 2, 3, 4
    histogram = describe("lbp_sip", np.repeat(grey[..., None], 3, axis=-1), blocks=(1, 1, 1), radii=(x, y, t))[0]
    volume = grey.astype(int)
    centre = volume[t:-t, y:-y, x:-x]
    inside = (
        volume[t:-t, y:-y, 2 * x :],
        volume[t:-t, : -2 * y, x:-x],
        volume[t:-t, y:-y, : -2 * x],
        volume[t:-t, 2 * y :, x:-x],
    )
    along = (volume[2 * t :, y:-y, x:-x], volume[: -2 * t, y:-y, x:-x])
    for part, neighbours, bins in ((histogram[:16], inside, 16), (histogram[16:], along, 4)):
        codes = sum((each >= centre).astype(int) << p for p, each in enumerate(neighbours))
        np.testing.assert_allclose(part, np.bincount(codes.ravel(), minlength=bins) / codes.size, rtol=1e-6)
