"""The five states: which frame shows each, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.networks.cnn_lstm.states import STATES, state_frames


def test_every_state_has_a_frame():
    assert len(state_frames(1, 5, 9, 20)) == len(STATES) == 5


def test_a_clip_of_as_many_frames_shows_its_own():
    """20 recorded frames are the 20 interpolated ones: the apex is where the annotation says."""
    assert state_frames(100, 108, 119, 20) == (0, 4, 8, 14, 19)  # (8 + 19) / 2 = 13.5 goes to the even frame


@pytest.mark.parametrize(
    ("onset", "apex", "offset", "expected"),
    [
        (0, 38, 38, (0, 10, 19, 19, 19)),  # the apex is the last frame; half of 19 is 9.5, nearest even 10
        (0, 0, 38, (0, 0, 0, 10, 19)),
        (46, 59, 86, (0, 3, 6, 13, 19)),  # 13 · 19 / 40 = 6.175, its half 3.0875, (6.175 + 19) / 2 = 12.5875
        (1, 3, 6, (0, 4, 8, 13, 19)),  # 2 · 19 / 5 = 7.6, 3.8, 13.3
        (0, 1, 38, (0, 0, 0, 10, 19)),  # 0.5 goes to 0; 9.75
        (0, 3, 38, (0, 1, 2, 10, 19)),  # 1.5 goes to 2, its half 0.75 to 1; 10.25
    ],
)
def test_the_frame_is_the_nearest_in_time(onset, apex, offset, expected):
    assert state_frames(onset, apex, offset, 20) == expected


def test_without_an_apex_the_middle_stands_in():
    assert state_frames(10, None, 20, 21) == state_frames(10, 15, 20, 21) == (0, 5, 10, 15, 20)
    assert state_frames(10, None, 20, 18) == state_frames(10, 15, 20, 18) == (0, 4, 8, 13, 17)  # 4.25, 8.5, 12.75


@given(st.integers(0, 10**6), st.integers(1, 400), st.data(), st.integers(2, 60))
def test_states_are_in_order_and_within_half_a_frame(onset, length, data, frames):
    apex = data.draw(st.integers(onset, onset + length))
    found = state_frames(onset, apex, onset + length, frames)
    assert found == tuple(sorted(found)) and found[0] == 0 and found[4] == frames - 1
    # In whole numbers: |k L - (apex - onset) (F - 1)| <= L / 2.
    assert 2 * abs(found[2] * length - (apex - onset) * (frames - 1)) <= length


def test_a_clip_counted_from_elsewhere_has_the_same_states():
    assert state_frames(3, 9, 40, 20) == state_frames(10003, 10009, 10040, 20)


@pytest.mark.parametrize(
    ("onset", "apex", "offset", "frames"), [(5, 4, 9, 20), (5, 10, 9, 20), (5, 5, 5, 20), (1, 2, 3, 1)]
)
def test_numbers_in_another_order_are_refused(onset, apex, offset, frames):
    with pytest.raises(ValueError, match="expected onset <= apex <= offset"):
        state_frames(onset, apex, offset, frames)
