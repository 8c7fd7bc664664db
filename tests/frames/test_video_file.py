"""Frames of a video by number."""

import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.frames.resampling import interpolate
from pipeline.frames.video_file import VideoFile
from tests.conftest import write_frame


@pytest.fixture
def clip(tmp_path):
    """A video of 12 frames, and its frames as OpenCV decodes them one after the other: uint8 (12, 40, 32, 3) RGB."""
    path = tmp_path / "clip.avi"
    write_frame(tmp_path / "face.png", 3, 40, 32)
    face = cv2.imread(str(tmp_path / "face.png"))
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (32, 40))
    for number in range(12):
        video.write(np.roll(face, number, axis=1))
    video.release()
    source = cv2.VideoCapture(str(path))
    frames = [source.read()[1][..., ::-1] for _ in range(12)]
    assert not source.read()[0]
    return path, np.stack(frames)


def test_every_frame_is_there_and_red_is_first(clip):
    path, frames = clip
    np.testing.assert_array_equal(np.stack(list(VideoFile(path))), frames)


def test_onset_and_offset_count_from_1(clip):
    path, frames = clip
    part = VideoFile(path, 3, 9)
    assert (len(part), part.onset, part.offset) == (7, 3, 9)
    np.testing.assert_array_equal(np.stack(list(part)), frames[2:9])
    assert VideoFile(path, onset=5).offset == 12 and VideoFile(path, offset=5).onset == 1


def test_frames_can_be_asked_for_in_any_order(clip):
    path, frames = clip
    video = VideoFile(path, 2, 12)
    for index in (4, 4, 3, 0, 10, 9):
        np.testing.assert_array_equal(video[index], frames[index + 1])
    with pytest.raises(IndexError):
        video[11]


def test_it_is_interpolated_like_any_clip_and_decodes_no_frame_twice(clip, monkeypatch):
    path, frames = clip
    video, decoded = VideoFile(path), []
    monkeypatch.setattr(video, "_decode", lambda original=video._decode: (decoded.append(1), original()))
    np.testing.assert_array_equal(interpolate(video, 20), interpolate(frames, 20))
    assert len(decoded) == 12


def test_a_box_cuts_every_frame(clip):
    path, frames = clip
    np.testing.assert_array_equal(np.stack(list(VideoFile(path, box=(4, 6, 10, 20)))), frames[:, 6:26, 4:14])


@pytest.mark.parametrize(("onset", "offset"), [(0, 5), (3, 13)])
def test_frames_that_the_video_does_not_have_are_an_error(clip, onset, offset):
    with pytest.raises(InputError, match=f"expected frames {onset} to {offset}, found 1 to 12"):
        VideoFile(clip[0], onset, offset)


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    (tmp_path / "clip.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"clip\.mp4: expected a video"):
        VideoFile(tmp_path / "clip.mp4")


def test_a_truncated_video_is_one_error_and_nothing_else(tmp_path, capfd):
    path = tmp_path / "clip.mp4"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (64, 64))
    for grey in range(10):
        video.write(np.full((64, 64, 3), grey, np.uint8))
    video.release()
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    capfd.readouterr()
    with pytest.raises(InputError, match=r"clip\.mp4: expected a video"):
        VideoFile(path)
    assert capfd.readouterr() == ("", "")  # FFmpeg has its own way to say it


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG")])
def test_a_video_with_damaged_frames_is_one_error_with_what_ffmpeg_says(tmp_path, capfd, suffix, codec):
    path = tmp_path / f"clip.{suffix}"
    noise = np.random.default_rng(0).uniform(0, 255, (120, 160, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (160, 120))
    for shift in range(20):
        video.write(np.roll(picture, shift, 1))
    video.release()
    assert len(VideoFile(path)) == 20
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    capfd.readouterr()
    with pytest.raises(InputError, match=r"expected a video without errors, but FFmpeg says of it: \w+"):
        VideoFile(path)
    assert capfd.readouterr() == ("", "")
