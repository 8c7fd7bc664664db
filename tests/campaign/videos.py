"""Videos as they come: codecs, interlaced, turned, cut, damaged; each is read in full, or refused in words that help.

They are made by FFmpeg's program where it is installed; a codec that it cannot write is passed over by name.
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.frames.video_file import VideoFile
from tests.campaign.outcome import Outcome

_SOURCE = "testsrc=s=160x120:r=25:d=2"
_FRAMES = 50


class Case(NamedTuple):
    """A video, and what must come of it."""

    name: str
    make: Callable[[Path], Path]
    """Writes it into a folder; gives its path."""
    words: tuple[str, ...] = ()
    """What the error must have; none where the frames must be read."""
    window: tuple[int, int] | None = None
    """Onset and offset; None for the whole video."""
    shape: tuple[int, int] = (120, 160)
    """Height and width of its frames, pixels."""


class _CannotMake(Exception):
    """FFmpeg on this machine cannot write such a video."""


def run(outcome: Outcome) -> None:
    """Try all videos."""
    if shutil.which("ffmpeg") is None:
        print("videos: not tried, because ffmpeg is not installed", flush=True)
        return
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = case.make(Path(folder))
            except _CannotMake as reason:
                print(f"videos: {case.name}: not tried: {reason}", flush=True)
                continue
            outcome.add("videos", case.name, _fault(case, path))


def _fault(case: Case, path: Path) -> str | None:
    try:
        video = VideoFile(path, *(case.window or (None, None)))
        shapes = {video[index].shape for index in range(len(video))}
    except InputError as error:
        missing = [word for word in case.words if word not in str(error)]
        if not case.words:
            return f"it was refused: {error}"
        return f"the error lacks {missing}: {error}" if missing else None
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if case.words:
        return "it was accepted"
    first, last = case.window or (1, _FRAMES)
    if len(video) != last - first + 1:
        return f"{len(video)} frames"
    return None if shapes == {(*case.shape, 3)} else f"frames of {shapes}"


def cases() -> Iterator[Case]:
    """All of them."""
    for codec, suffix, *options in (
        ("libx264", "mp4"),
        ("libx265", "mp4", "-x265-params", "log-level=none"),
        ("mpeg4", "avi"),
        ("mpeg2video", "mpg"),
        ("mjpeg", "avi"),
        ("ffv1", "mkv"),
        ("huffyuv", "avi"),
        ("prores", "mov"),
        ("libvpx", "webm"),
        ("libvpx-vp9", "webm", "-cpu-used", "8"),
        ("libaom-av1", "mkv", "-cpu-used", "8"),
    ):
        yield Case(f"{codec} in {suffix}", _encoded(codec, suffix, *options))
    fields = "-vf", "interlace"
    for codec, suffix, *options in (
        ("libx264", "mp4", *fields, "-flags", "+ilme+ildct", "-x264opts", "tff=1"),
        ("mpeg2video", "mpg", *fields, "-flags", "+ilme+ildct"),
        ("dvvideo", "avi", "-vf", "scale=720:576,interlace", "-pix_fmt", "yuv420p"),
    ):
        yield Case(f"interlaced {codec}", _encoded(codec, suffix, *options), ("interlaced", "yadif"))
    yield Case("turned by 90 degrees", _turned(0, 1, -1, 0), shape=(160, 120))
    yield Case("turned by 45 degrees", _turned(0.7071, 0.7071, -0.7071, 0.7071), ("turned by", "ffmpeg -i"))
    yield Case("mirrored", _turned(-1, 0, 0, 1), ("mirrored", "ffmpeg -i"))
    yield Case("cut without a key frame", _cut, ("begins without a key frame", "re-encode"), (1, 5))
    yield Case("cut without a key frame, after the next one", _cut, window=(15, 20))
    yield Case("damaged in the window", _damaged, ("FFmpeg says",))
    yield Case("damaged after the window", _damaged, window=(2, 9))
    yield Case("two sizes", _two_sizes, ("160 x 120", "px"))
    yield Case("two sizes, a window of one", _two_sizes, window=(3, 20))
    yield Case("one picture", _picture, ("Name the folder",))
    yield Case("sound alone", _sound, ("expected a video", "audio"))


def _ffmpeg(*words: str | Path) -> None:
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise _CannotMake(done.stderr.strip().partition("\n")[0])


def _encoded(codec: str, suffix: str, *options: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"clip.{suffix}"
        _ffmpeg("-f", "lavfi", "-i", _SOURCE, "-c:v", codec, *options, path)
        return path

    return make


_plain = _encoded("libx264", "mp4", "-g", "25", "-bf", "0")


def _turned(a: float, b: float, c: float, d: float) -> Callable[[Path], Path]:
    """A video whose header says how it is to be shown: x' = a x + c y, y' = b x + d y."""

    def make(folder: Path) -> Path:
        path = _plain(folder)
        content = bytearray(path.read_bytes())
        place = content.index(b"tkhd") + 4 + 40  # of the matrix in the header of the track
        numbers = [round(number * 2**16) for number in (a, b, 0, c, d, 0, 0, 0)]
        content[place : place + 36] = struct.pack(">9i", *numbers, 2**30)
        path.write_bytes(content)
        return path

    return make


def _cut(folder: Path) -> Path:
    """What begins in the middle of a group of pictures: 15 frames before the key frame that was the 26th."""
    video = _encoded("libx264", "h264", "-g", "25", "-bf", "0", "-x264opts", "scenecut=0:slices=1:aud=1")(folder)
    start = b"\x00\x00\x00\x01\x09"  # of every picture
    first, *pictures = video.read_bytes().split(start)
    headers = pictures[0][: pictures[0].index(b"\x00\x00\x01\x65")]  # of the stream, before its first picture
    kept = [headers + pictures[11][1:], *pictures[12:]]
    (folder / "cut.h264").write_bytes(first + b"".join(start + picture for picture in kept))
    _ffmpeg("-r", "25", "-i", folder / "cut.h264", "-c", "copy", "-copyinkf", folder / "cut.mp4")
    return folder / "cut.mp4"


def _damaged(folder: Path) -> Path:
    """Forty bytes of the 40th frame are others."""
    video = _encoded("mjpeg", "avi")(folder)
    content = bytearray(video.read_bytes())
    place = -1
    for _ in range(40):
        place = content.index(b"00dc", place + 1)
    middle = place + int.from_bytes(content[place + 4 : place + 8], "little") // 2
    content[middle : middle + 40] = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])
    video.write_bytes(content)
    return video


def _two_sizes(folder: Path) -> Path:
    """Fifty frames of one size, then of another, in one stream."""
    options = "-bf", "0", "-g", "25"
    one = _encoded("libx264", "h264", *options)(folder).rename(folder / "one.h264")
    other = _encoded("libx264", "h264", *options, "-vf", "scale=320:240")(folder)
    (folder / "both.h264").write_bytes(one.read_bytes() + other.read_bytes())
    return folder / "both.h264"


def _picture(folder: Path) -> Path:
    _ffmpeg("-f", "lavfi", "-i", _SOURCE, "-frames:v", "1", folder / "img_01.png")
    return folder / "img_01.png"


def _sound(folder: Path) -> Path:
    _ffmpeg("-f", "lavfi", "-i", "sine=d=1", folder / "clip.wav")
    return folder / "clip.wav"
