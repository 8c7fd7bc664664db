"""HIGO by its closed forms."""

import numpy as np

from pipeline.comparators import describe
from pipeline.comparators.shared.eulerian_magnification import magnify


def higo(frames, **settings):
    """(t, y, x, plane, bin)."""
    blocks = settings.setdefault("blocks", (2, 3, 3))
    return describe("higo", frames, **settings).reshape(*blocks, len(settings.get("planes", "123")), -1)


def test_contrast_and_brightness_change_nothing(grey_frames):
    frames = grey_frames // 2
    np.testing.assert_array_equal(higo(frames * 3), higo(frames))
    np.testing.assert_array_equal(higo(frames + 31), higo(frames))


def test_rotated_frames_roll_the_orientations_by_a_quarter(grey_frames):
    plain, rotated = higo(grey_frames), higo(np.rot90(grey_frames, axes=(1, 2)))
    there = np.rot90(rotated, -1, axes=(1, 2))
    np.testing.assert_array_equal(there[..., 0, :], np.roll(plain[..., 0, :], -2, axis=-1))


def test_mirrored_frames_mirror_the_orientations(grey_frames):
    plain, mirrored = higo(grey_frames), higo(grey_frames[:, :, ::-1])[:, :, ::-1]
    other_side = (3 - np.arange(8)) % 8
    np.testing.assert_array_equal(mirrored[..., 0, other_side], plain[..., 0, :])
    np.testing.assert_array_equal(mirrored[..., 1, other_side], plain[..., 1, :])
    np.testing.assert_array_equal(mirrored[..., 2, :], plain[..., 2, :])


def test_reversed_frames_reverse_time(grey_frames):
    plain, reversed_ = higo(grey_frames), higo(grey_frames[::-1])[::-1]
    backwards = (-1 - np.arange(8)) % 8
    np.testing.assert_array_equal(reversed_[..., 0, :], plain[..., 0, :])
    np.testing.assert_array_equal(reversed_[..., 1, backwards], plain[..., 1, :])
    np.testing.assert_array_equal(reversed_[..., 2, backwards], plain[..., 2, :])


def test_transposed_frames_swap_xt_and_yt(grey_frames):
    plain, transposed = higo(grey_frames), higo(grey_frames.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_array_equal(transposed[..., 1, :], plain[..., 2, :])
    np.testing.assert_array_equal(transposed[..., 0, (1 - np.arange(8)) % 8], plain[..., 0, :])


def test_ramps_vote_for_their_direction():
    ramp = np.arange(20, dtype=np.uint8) * 2
    right = np.broadcast_to(ramp[:, None], (8, 20, 20, 3))
    down = np.broadcast_to(ramp[:, None, None], (8, 20, 20, 3))
    later = np.broadcast_to(ramp[:8, None, None, None], (8, 20, 20, 3))
    earlier = later[::-1]
    for frames, bins in (
        (right, ((0, 7), (0, 7), ())),
        (down, ((1, 2), (), (0, 7))),
        (later, ((), (1, 2), (1, 2))),
        (right + down, ((0, 1), (0, 7), (0, 7))),
        (2 * right + down + later, ((0,), (0,), (0, 1))),
        (2 * right + down + earlier, ((0,), (7,), (6, 7))),  # falls in time: another bin, however slowly
    ):
        for plane, expected in enumerate(bins):
            histograms = higo(frames)[..., plane, :]
            for number in range(8):
                assert (histograms[..., number] == (1 / len(expected) if number in expected else 0)).all()


def test_colours_of_one_luma_are_no_gradient():
    where = np.random.default_rng(0).integers(2, size=(8, 20, 20))
    frames = np.array([[35, 160, 154], [50, 151, 161]], np.uint8)[where]
    assert (higo(frames) == 0).all()


def test_planes_are_a_setting(grey_frames):
    np.testing.assert_array_equal(higo(grey_frames, planes=("yt", "xy"))[..., 1, :], higo(grey_frames)[..., 0, :])


def test_magnification_is_off_unless_it_is_asked_for(grey_frames):
    np.testing.assert_array_equal(higo(grey_frames, magnification=0.0), higo(grey_frames))
    assert not np.array_equal(higo(grey_frames, magnification=8.0), higo(grey_frames))


def test_magnification_amplifies_what_changes_and_nothing_else(grey_frames):
    still = np.repeat(grey_frames[:1, ..., 0], 12, axis=0).astype(float)
    np.testing.assert_allclose(magnify(still, 10), still, atol=1e-9)
    # A pattern of medium size that comes and goes: the amplified change is linear in the factor and of its sign.
    rows, columns = np.indices((40, 40))
    wave = np.sin(2 * np.pi * columns / 10) * np.sin(2 * np.pi * rows / 10)
    clip = 100 + np.sin(np.arange(12) * np.pi / 11)[:, None, None] * wave
    added = magnify(clip, 5) - clip
    np.testing.assert_allclose(magnify(clip, 10) - clip, 2 * added)
    assert (added[4] * wave)[8:-8, 8:-8].sum() > 0.5 * (wave**2)[8:-8, 8:-8].sum()
    fine = 100 + np.sin(np.arange(12) * np.pi / 11)[:, None, None] * (-1.0) ** (rows + columns)
    assert np.abs(magnify(fine, 5) - fine).max() < 0.05  # noise of single pixels is left as it is
