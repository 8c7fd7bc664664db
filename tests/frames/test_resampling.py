"""Interpolation and resizing against closed forms."""

import numpy as np
import pytest

from pipeline.frames import resampling


def clip_of(values):
    """A clip whose frame t is constant with value values[t]."""
    return np.broadcast_to(np.asarray(values, np.uint8)[:, None, None, None], (len(values), 2, 3, 3))


@pytest.mark.parametrize("length", [2, 3, 7, 19, 20, 21, 39, 60, 173])
@pytest.mark.parametrize("count", [2, 20, 31])
def test_interpolation_is_linear_in_time(length, count):
    rng = np.random.default_rng(length)
    clip = rng.integers(0, 256, (length, 4, 5, 3)).astype(np.uint8)
    out = resampling.interpolate(clip, count)
    assert out.shape == (count, 4, 5, 3) and out.dtype == np.uint8
    times = np.arange(count) * (length - 1) / (count - 1)
    for k in range(count):
        for pixel in np.ndindex(4, 5, 3):
            exact = np.interp(times[k], np.arange(length), clip[(slice(None), *pixel)])
            assert abs(float(out[(k, *pixel)]) - exact) <= 0.5 + 1e-9


@pytest.mark.parametrize("length", [2, 20, 45, 134])
def test_first_and_last_frame_are_onset_and_offset_bit_for_bit(length):
    clip = np.random.default_rng(0).integers(0, 256, (length, 6, 6, 3)).astype(np.uint8)
    out = resampling.interpolate(clip, 20)
    np.testing.assert_array_equal(out[0], clip[0])
    np.testing.assert_array_equal(out[-1], clip[-1])


def test_a_clip_of_the_right_length_is_left_as_it_is():
    clip = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resampling.interpolate(clip, 20), clip)


def test_rounding_happens_once_and_to_the_nearest():
    # 3 frames to 5: outputs 1 and 3 lie half-way; 10.5 rounds to the even 10, 10.5 + 1 to 12.
    out = resampling.interpolate(clip_of([10, 11, 12]), 5)
    assert out[:, 0, 0, 0].tolist() == [10, 10, 11, 12, 12]


def test_interpolation_reads_in_order_and_keeps_two_frames():
    class Watched(list):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    asked: list[int] = []
    resampling.interpolate(Watched(clip_of(range(100))), 20)
    assert asked == sorted(asked) and len(asked) <= 40


@pytest.mark.parametrize(("length", "count"), [(1, 20), (0, 20), (5, 1)])
def test_fewer_than_two_frames_are_an_error(length, count):
    with pytest.raises(ValueError, match="at least 2"):
        resampling.interpolate(clip_of([0] * length), count)


@pytest.mark.parametrize("shape", [(280, 240), (192, 192), (100, 400), (480, 640), (64, 50)])
def test_resize_keeps_constants_and_gives_the_size(shape):
    clip = np.full((2, *shape, 3), 137, np.uint8)
    out = resampling.resize(clip, 192)
    assert out.shape == (2, 192, 192, 3) and out.dtype == np.uint8
    assert (out == 137).all()


def test_resize_leaves_the_right_size_alone():
    clip = np.random.default_rng(0).integers(0, 256, (1, 192, 192, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resampling.resize(clip, 192), clip)


def test_resize_by_a_whole_factor_is_the_mean_of_each_block():
    clip = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3)).astype(np.uint8)
    out = resampling.resize(clip, 32)
    blocks = clip[0].reshape(32, 3, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(out[0] - blocks).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("before", "after"), [(280, 192), (100, 192)])
def test_resize_keeps_a_ramp_in_register(before, after):
    # The centre of new pixel i lies at (i + 0.5) before / after - 0.5; a shift of half a pixel would show.
    ramp = np.broadcast_to((np.arange(before) * 255 / before)[None, None, :, None], (1, before, before, 3))
    out = resampling.resize(np.rint(ramp).astype(np.uint8), after)[0, after // 2, :, 0].astype(float)
    expected = ((np.arange(after) + 0.5) * before / after - 0.5) * 255 / before
    inside = slice(3, -3)
    assert np.abs(out - expected)[inside].max() < 1.5
    assert abs((out - expected)[inside].mean()) < 0.15


def test_resize_does_not_alias():
    # One pixel on, one off, at 576 px: far above what 192 px can show, so what is left must be grey.
    stripes = np.zeros((1, 576, 576, 3), np.uint8)
    stripes[:, :, ::2] = 255
    assert (
        np.ptp(resampling.resize(stripes, 192)[0, :, 5:-5].astype(int)) <= 86
    )  # 2 of 3 columns at most, never 0 and 255


@pytest.mark.parametrize("count", [7, 9, 21, 30])
@pytest.mark.parametrize(
    "times",
    [
        [0, 20],
        [0, 1, 2, 9, 10, 20],
        [0, *range(8, 21)],
        [0, *range(1, 12), 20],
        [time for time in range(21) if time not in (5, 6, 13)],
    ],
)
def test_a_linear_ramp_survives_gaps_exactly(count, times):
    ramp = clip_of(range(5, 5 + 12 * 21, 12))  # frame t has the value 5 + 12 t
    frames = {time: ramp[time] for time in times}

    class Gapped:
        def __len__(self):
            return 21

        def __getitem__(self, time):
            return frames[time]  # KeyError for a frame that does not exist

    out = resampling.interpolate(Gapped(), count, times)
    exact = 5 + 240 * np.arange(count) / (count - 1)
    assert np.abs(out[:, 0, 0, 0] - exact).max() <= 0.5 + 1e-9
    whole = np.isclose(exact, np.rint(exact), atol=1e-9)
    assert out[whole, 0, 0, 0].tolist() == np.rint(exact[whole]).astype(int).tolist()
    np.testing.assert_array_equal(out, resampling.interpolate(ramp, count))


def test_frames_in_a_gap_come_from_its_two_ends_alone():
    clip = clip_of([0, 200, 10, 200, 40])
    assert resampling.interpolate(clip, 5, [0, 2, 4])[:, 0, 0, 0].tolist() == [0, 5, 10, 25, 40]


@pytest.mark.parametrize("times", [[1, 2, 3, 4], [0, 1, 2, 3]])
def test_the_first_and_the_last_frame_must_exist(times):
    with pytest.raises(ValueError, match="times: expected 0 to 4"):
        resampling.interpolate(clip_of(range(5)), 3, times)
