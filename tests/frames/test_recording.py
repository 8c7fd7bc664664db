"""A recording gives its frames one by one, and names those that are not right."""

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.frames import resampling
from pipeline.frames.recording import Recording
from tests.conftest import write_frame


@pytest.fixture
def folder(tmp_path):
    for number in range(8, 13):
        write_frame(tmp_path / f"img{number}.jpg", number)
    return tmp_path


def test_a_recording_gives_the_frames_between_onset_and_offset(folder):
    recording = Recording(folder, 9, 11)
    assert len(recording) == 3
    assert [recording[i].shape for i in range(3)] == [(40, 30, 3)] * 3
    np.testing.assert_array_equal(recording[0], Recording(folder, 8, 12)[1])
    with pytest.raises(IndexError):
        recording[3]


def test_a_missing_frame_is_named(folder):
    (folder / "img10.jpg").unlink()
    with pytest.raises(InputError, match="frame 10 is missing"):
        resampling.interpolate(Recording(folder, 8, 12), 20)


def test_a_gap_is_interpolated_over_where_that_is_allowed(folder):
    (folder / "img10.jpg").unlink()
    recording = Recording(folder, 8, 12, gaps=True)
    assert list(recording.times) == [0, 1, 3, 4] and len(recording) == 5
    frames = resampling.interpolate(recording, 5, recording.times)
    np.testing.assert_array_equal(frames[2], np.rint(frames[1] / 2 + frames[3] / 2).astype(np.uint8))
    np.testing.assert_array_equal(frames[1], recording[1])


def test_onset_and_offset_must_exist_even_where_gaps_are_allowed(folder):
    (folder / "img12.jpg").unlink()
    recording = Recording(folder, 8, 12, gaps=True)
    with pytest.raises(InputError, match="frame 12 is missing"):
        resampling.interpolate(recording, 5, recording.times)


def test_a_frame_of_another_size_is_named(folder):
    write_frame(folder / "img10.jpg", 0, height=50)
    with pytest.raises(InputError, match=r"img10\.jpg: expected 30 x 40 px.*found 30 x 50 px"):
        resampling.interpolate(Recording(folder, 8, 12), 20)


def test_a_frame_that_is_turned_in_another_way_is_named(folder):
    tags = Image.Exif()
    tags[0x0112] = 3
    with Image.open(folder / "img10.jpg") as image:
        image.save(folder / "img10.jpg", exif=tags)
    with pytest.raises(InputError, match=r"img10\.jpg: expected EXIF orientation 1 like the frames before it, found 3"):
        resampling.interpolate(Recording(folder, 8, 12), 20)
