"""Frames of a video by number."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.frames import video_file
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
    upright = video_file._upright
    monkeypatch.setattr(video_file, "_upright", lambda *given: (decoded.append(1), upright(*given))[1])
    np.testing.assert_array_equal(interpolate(video, 20), interpolate(frames, 20))
    assert len(decoded) == 12


def test_a_box_cuts_every_frame(clip):
    path, frames = clip
    np.testing.assert_array_equal(np.stack(list(VideoFile(path, box=(4, 6, 10, 20)))), frames[:, 6:26, 4:14])
    video = VideoFile(path)
    np.testing.assert_array_equal(video[0], frames[0])
    video.box = (4, 6, 10, 20)  # found in the onset frame, which need not be decoded again
    np.testing.assert_array_equal(np.stack(list(video)), frames[:, 6:26, 4:14])


@pytest.mark.parametrize(("onset", "offset"), [(0, 5), (3, 13)])
def test_frames_that_the_video_does_not_have_are_an_error(clip, onset, offset):
    with pytest.raises(InputError, match=f"expected frames {onset} to {offset}, found 1 to 12"):
        VideoFile(clip[0], onset, offset)


def test_what_is_not_a_video_is_an_error_with_the_words_of_ffmpeg(tmp_path, capfd):
    (tmp_path / "clip.mp4").write_text("no video" * 400)
    with pytest.raises(InputError, match=r"clip\.mp4: expected a video .*Invalid data found when processing input"):
        VideoFile(tmp_path / "clip.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match=r"empty\.mp4: expected a video"):
        VideoFile(tmp_path / "empty.mp4")
    assert capfd.readouterr() == ("", "")  # FFmpeg has its own way to say it


@pytest.mark.parametrize("name", ["onset.png", "img_%02d.jpg", "picture.JPG"])
def test_a_picture_is_refused_with_the_folder_to_name(tmp_path, name):
    write_frame(tmp_path / "img_01.jpg", 3, 40, 32)
    (tmp_path / name).write_bytes((tmp_path / "img_01.jpg").read_bytes())
    with pytest.raises(InputError, match=f"found one picture. Name the folder: {tmp_path}"):
        VideoFile(tmp_path / name)


def test_a_picture_by_another_name_is_refused(tmp_path):
    write_frame(tmp_path / "face.png", 3, 40, 32)
    (tmp_path / "face.png").rename(tmp_path / "face.mp4")
    with pytest.raises(InputError, match="found one picture"):
        VideoFile(tmp_path / "face.mp4")


def noise(width=96, height=64):
    """A picture in which damage shows, uint8 (height, width, 3)."""
    values = np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32)
    return cv2.GaussianBlur(values, (0, 0), 2).astype(np.uint8)


def encoded(path, count=60, size=(96, 64), codec="libx264", times=None, **options):
    """Write `count` frames, each the one before it moved by a pixel, with a key frame every 20."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options={"g": "20", "bf": "2"} | options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 30)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.roll(noise(*size), number, 1), format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rewritten(path, source, keep=lambda number, packet: True, damage=()):
    """Copy the packets of a video that are to be kept, in the order of the file, some with their middle damaged."""
    with av.open(str(source)) as before, av.open(str(path), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(before.demux(before.streams.video[0])):
            if not packet.size or not keep(number, packet):
                continue
            if number in damage:
                content = bytearray(bytes(packet))
                middle = len(content) // 2
                content[middle:] = bytes(value ^ 0x5A for value in content[middle:])
                copy = av.Packet(bytes(content))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe = packet.is_keyframe
                packet = copy
            packet.stream = stream
            after.mux(packet)
    return path


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "mpeg2video")])
def test_the_frames_of_a_window_are_those_of_the_whole_video(tmp_path, suffix, codec):
    """With frames that are not stored in the order in which they are shown."""
    path = encoded(tmp_path / f"clip.{suffix}", codec=codec)
    source = cv2.VideoCapture(str(path))
    frames = np.stack([source.read()[1][..., ::-1] for _ in range(60)])
    np.testing.assert_array_equal(np.stack(list(VideoFile(path))), frames)
    np.testing.assert_array_equal(np.stack(list(VideoFile(path, 33, 45))), frames[32:45])


def test_only_what_a_window_needs_is_decoded(tmp_path):
    video = VideoFile(encoded(tmp_path / "clip.mp4"), 45, 50)
    assert next(number for number, _ in video._decoding) == 41  # the key frame before the onset


def test_damage_matters_only_where_the_window_needs_it(tmp_path, capfd):
    damaged = rewritten(tmp_path / "damaged.mp4", encoded(tmp_path / "clip.mp4"), damage=range(24, 30))
    capfd.readouterr()
    for onset, offset in ((1, 18), (41, 60)):
        assert len(list(VideoFile(damaged, onset, offset))) == offset - onset + 1
    for onset, offset in ((1, 60), (22, 40), (36, 38), (10, 30)):  # frame 36 is made from those before it
        with pytest.raises(InputError, match=rf"which frames {onset} to {offset} need, but FFmpeg says of them: \w+"):
            list(VideoFile(damaged, onset, offset))
    assert capfd.readouterr() == ("", "")


def test_a_clip_that_begins_without_a_key_frame_is_used_from_the_first_one_on(tmp_path):
    whole = encoded(tmp_path / "clip.mp4", bf="0")
    cut = rewritten(tmp_path / "cut.mkv", whole, keep=lambda number, packet: number >= 7)
    with pytest.raises(InputError, match=r"begins without a key frame, and frames 1 to 13 cannot .* from 14 on"):
        VideoFile(cut, 5, 20)
    video = VideoFile(cut, 14, 20)
    np.testing.assert_array_equal(np.stack(list(video)), np.stack(list(VideoFile(whole, 21, 27))))
    [note] = video.notes
    assert "begins without a key frame" in note
    assert VideoFile(whole).notes == []


def test_interlaced_frames_are_refused_with_the_command_that_helps(tmp_path, capfd):
    path = encoded(tmp_path / "clip.mpg", codec="mpeg2video", flags="+ilme+ildct")
    with pytest.raises(InputError, match=r"frame 3 is interlaced: .* ffmpeg -i clip.mpg -vf yadif .*_progressive.mp4"):
        list(VideoFile(path, 3, 9))
    assert capfd.readouterr() == ("", "")


def test_a_video_that_changes_its_size_is_refused_where_it_does(tmp_path):
    parts = [encoded(tmp_path / f"{size[0]}.ts", 20, size) for size in ((96, 64), (64, 48))]
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(InputError, match=r"frame 21 is 64 x 48 px, those before it 96 x 64 px"):
        list(VideoFile(path))
    assert [frame.shape for frame in VideoFile(path, 3, 4)] == [(64, 96, 3)] * 2
    assert [frame.shape for frame in VideoFile(path, 30, 31)] == [(48, 64, 3)] * 2


@pytest.mark.parametrize(
    ("degrees", "mirrored", "turns"),
    [(90, False, 3), (180, False, 2), (270, False, 1), (45, False, None), (0, True, None)],
)
def test_a_video_is_turned_as_it_says(tmp_path, degrees, mirrored, turns):
    path = encoded(tmp_path / "clip.mp4", 3)
    plain = VideoFile(path)[0]
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    cosine, sine = (round(65536 * f(np.radians(degrees))) for f in (np.cos, np.sin))
    matrix = (-65536, 0, 0, 0, 65536) if mirrored else (cosine, sine, 0, -sine, cosine)
    content[place : place + 20] = struct.pack(">5i", *matrix)
    path.write_bytes(content)
    if turns is not None:
        np.testing.assert_array_equal(VideoFile(path)[0], np.rot90(plain, turns))
        return
    with pytest.raises(InputError, match="to be shown " + ("mirrored" if mirrored else "turned by -45 degrees")):
        VideoFile(path)[0]


def test_a_varying_frame_rate_is_remarked_on_where_it_varies(tmp_path):
    times = [*range(20), *range(26, 50)]
    path = encoded(tmp_path / "clip.mkv", len(times), times=times)
    [note] = VideoFile(path, 15, 30).notes
    assert "frame rate varies" in note and " ms from evenly spaced" in note
    assert VideoFile(path, 1, 20).notes == VideoFile(path, 22, 40).notes == []


def test_a_file_without_video_and_one_in_an_unknown_codec_are_named(tmp_path):
    path = encoded(tmp_path / "clip.mp4", 3)
    (tmp_path / "unknown.mp4").write_bytes(path.read_bytes().replace(b"avc1", b"xyz1"))
    with pytest.raises(InputError, match="no decoder for"):
        VideoFile(tmp_path / "unknown.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(InputError, match=r"expected a video, found .* with audio"):
        VideoFile(tmp_path / "sound.mp4")


def test_a_truncated_video_is_one_error_and_nothing_else(tmp_path, capfd):
    path = encoded(tmp_path / "clip.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(InputError, match=r"clip\.mp4: expected a video that FFmpeg reads, .* moov atom not found"):
        VideoFile(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG")])
def test_a_video_with_damaged_frames_is_one_error_with_what_ffmpeg_says(tmp_path, capfd, suffix, codec):
    path = tmp_path / f"clip.{suffix}"
    noise = np.random.default_rng(0).uniform(0, 255, (120, 160, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (160, 120))
    for shift in range(20):
        video.write(np.roll(picture, shift, 1))
    video.release()
    assert len(list(VideoFile(path))) == 20
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    capfd.readouterr()
    with pytest.raises(InputError, match=r"expected a video .*FFmpeg.* says( of them)?: \w+"):
        list(VideoFile(path))
    assert capfd.readouterr() == ("", "")
