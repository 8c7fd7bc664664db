"""A clip in a video file, frame by frame."""

import struct
from bisect import bisect_right
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import InputError
from pipeline.frames import frame_files

av.logging.set_level(av.logging.ERROR)  # often the only sign that what was decoded is not what was recorded
av.logging.set_skip_repeated(False)  # or what was said in one reading would not be said in the next

UNEVEN = 1 / 3
"""Share of a frame's duration by which a frame may be early or late before its clip counts as unevenly spaced."""


class _Frame(NamedTuple):
    """What the container says of a frame, without decoding it."""

    time: int
    """When it is shown, in the units of the stream; its place in the file where the file does not say."""
    key: bool
    """Whether decoding can begin with it."""


class VideoFile:
    """Frames of a video from onset to offset, uint8 (H, W, 3) RGB, each decoded when it is asked for.

    The first frame of the video is number 1. Only the frames from the last key frame at or before the onset up to the
    offset are decoded, so that damage elsewhere does not matter. Asked for in ascending order, no frame is decoded
    twice; at most two are held. The `box` (x, y, width, height in pixels) can be set at any time: only what is inside
    it is then given.

    Parameters
    ----------
    path
        Anything that FFmpeg reads.
    onset, offset
        First and last frame; None for those of the video.
    box
        None for whole frames.

    Raises
    ------
    InputError
        The file is not a video or does not have these frames. When a frame is asked for: FFmpeg finds errors in what
        must be decoded, or the frames are interlaced, change their size, or are shown mirrored or turned by something
        else than right angles.
    """

    def __init__(
        self,
        path: Path,
        onset: int | None = None,
        offset: int | None = None,
        box: tuple[int, int, int, int] | None = None,
    ) -> None:
        if path.suffix.lower() in frame_files.SUFFIXES:
            raise InputError(
                f"{path}: expected a video or a folder of frames, found one picture. Name the folder: {path.parent}"
            )
        self.path = path
        self.box = box
        self._seconds, self._frames = _contents(path)
        self.onset = 1 if onset is None else onset
        self.offset = len(self._frames) if offset is None else offset
        if self.onset < 1 or self.offset > len(self._frames):
            raise InputError(f"{path}: expected frames {self.onset} to {self.offset}, found 1 to {len(self._frames)}")
        keys = [number for number, frame in enumerate(self._frames, start=1) if frame.key]
        self._first_key = keys[0] if keys else len(self._frames) + 1
        if self.onset < self._first_key:
            raise InputError(
                f"{path}: expected to decode frame {self.onset}, but the video begins without a key frame, and frames "
                f"1 to {self._first_key - 1} cannot be decoded without it. Cut the original again and re-encode it "
                f"(ffmpeg without `-c copy`), or choose frames from {self._first_key} on."
            )
        self._start = keys[bisect_right(keys, self.onset) - 1]
        self._restart()

    def __len__(self) -> int:
        return self.offset - self.onset + 1

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self.onset + index
        if number not in self._held:
            if number <= self._last:
                self._restart()
            self._hold(number)
        frame = self._held[number]
        if self.box is None:
            return frame
        x, y, width, height = self.box
        return frame[y : y + height, x : x + width]

    @property
    def notes(self) -> list[str]:
        """What a reader of a result should know about the frames."""
        notes = []
        if self._first_key > 1:
            notes.append(
                f"the video begins without a key frame: its frames 1 to {self._first_key - 1} cannot be decoded, but "
                "are counted. Programs that leave them out count from the next one"
            )
        if (late := self._unevenness()) is not None:
            notes.append(
                f"the frame rate varies: frames are up to {1000 * late:.0f} ms from evenly spaced times, but are taken "
                "as evenly spaced. `ffmpeg -i FILE -r RATE NEW` makes the rate constant"
            )
        return notes

    def _unevenness(self) -> float | None:
        """How far a frame of the clip is from evenly spaced times, in seconds; None where that is little."""
        times = self._seconds * np.array([frame.time for frame in self._frames[self.onset - 1 : self.offset]], float)
        if len(times) < 3:
            return None
        late = float(np.abs(times - np.linspace(times[0], times[-1], len(times))).max())
        duration = (times[-1] - times[0]) / (len(times) - 1)
        return late if late > max(UNEVEN * duration, 1e-3) else None  # containers round to milliseconds

    def _restart(self) -> None:
        self._decoding = self._decoded()
        self._last = 0
        self._held: dict[int, np.ndarray] = {}
        self._size: tuple[int, int] | None = None

    def _hold(self, wanted: int) -> None:
        for number, frame in self._decoding:
            self._last = number
            if self.onset <= self._last <= wanted:
                self._check(frame)
            if self._last >= wanted:
                break
        if self._last != wanted:
            raise self._error(
                "is missing from what can be decoded", "Copy the file again, or choose other frames", wanted
            )
        self._held = dict([*self._held.items()][-1:])
        self._held[wanted] = _upright(self.path, frame)

    def _check(self, frame: VideoFrame) -> None:
        if frame.interlaced_frame:
            raise self._error(
                "is interlaced: it has two moments in alternate lines",
                f"Make it progressive: ffmpeg -i {self.path.name} -vf yadif -c:v libx264 -crf 12 "
                f"{self.path.stem}_progressive.mp4",
            )
        size = frame.width, frame.height
        self._size = self._size or size
        if size != self._size:
            raise self._error(
                f"is {size[0]} x {size[1]} px, those before it {self._size[0]} x {self._size[1]} px",
                "Choose frames of one size with --onset and --offset",
            )

    def _error(self, found: str, advice: str, number: int | None = None) -> InputError:
        return InputError(
            f"{self.path}: expected whole frames of one size from {self.onset} to {self.offset}, but frame "
            f"{number or self._last} {found}. {advice}."
        )

    def _decoded(self) -> Generator[tuple[int, VideoFrame]]:
        """Frames with their numbers, from the key frame that the onset needs."""
        numbers = {frame.time: number for number, frame in enumerate(self._frames, start=1)} if self._seconds else {}
        start = self._frames[self._start - 1].time
        number = self._start - 1
        with _opened(self.path) as (container, stream):
            packets = enumerate(container.demux(stream))
            waiting, going = True, True
            while going:
                frames: list[VideoFrame] = []
                with av.logging.Capture(local=False) as said:
                    place, packet = next(packets)
                    going = packet.size > 0  # the last packet is empty: it asks for the frames that are still to come
                    time = packet.pts if self._seconds else place
                    waiting = waiting and time != start
                    # After a key frame may come frames that are shown before it and need frames before it.
                    if not waiting and (time is None or time >= start):
                        try:
                            frames = packet.decode()
                        except av.FFmpegError as error:
                            raise self._damage(_words(error)) from error
                if said and not waiting:
                    raise self._damage(said[0][2].strip())
                for frame in frames:
                    number = number + 1 if frame.pts is None else numbers.get(frame.pts, number + 1)
                    if frame.is_corrupt:
                        raise self._damage(f"frame {number} is corrupt")
                    yield number, frame

    def _damage(self, said: str) -> InputError:
        return InputError(
            f"{self.path}: expected a video without errors in frames {self._start} to {self.offset}, which frames "
            f"{self.onset} to {self.offset} need, but FFmpeg says of them: {said}. Copy the file again, or choose "
            "other frames."
        )


def _contents(path: Path) -> tuple[float, list[_Frame]]:
    """The frames of a video in the order in which they are shown, and the seconds that a unit of their time lasts.

    Nothing is decoded. Where the file does not say when each frame is shown (some .avi, files laid end to end), a unit
    lasts 0 seconds, the time of a frame is its place in the file, and only the first frame counts as a key frame.
    """
    with _opened(path) as (container, stream):
        with av.logging.Capture(local=False):  # damage matters where it is decoded
            packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        if stream.codec_context.name == "vp8":  # has packets that are never shown; a bit of their header says so
            packets = [packet for packet in packets if bytes(packet)[0] & 0x10]
        if not packets:
            raise InputError(f"{path}: expected a video, found no frame in its stream of {stream.codec_context.name}")
        times = {packet.pts: packet.is_keyframe for packet in packets if packet.pts is not None}
        order = [packet.dts for packet in packets if packet.dts is not None]
        if len(times) < len(packets) or order != sorted(order):
            return 0.0, [_Frame(place, place == 0) for place in range(len(packets))]
        return float(stream.time_base or 0), [_Frame(*known) for known in sorted(times.items())]


@contextmanager
def _opened(path: Path) -> Generator[tuple[InputContainer, VideoStream]]:
    """The first video stream of a file, to be decoded in this thread: only there are FFmpeg's words heard.

    Raises
    ------
    InputError
        There is none, it cannot be decoded, or FFmpeg gives up while it is read.
    """
    try:
        with av.logging.Capture(local=False):
            container = av.open(str(path.absolute()), metadata_errors="replace")
        with container:
            if container.format.name.endswith("_pipe") or container.format.name == "image2":
                raise InputError(
                    f"{path}: expected a video or a folder of frames, found one picture. Name the folder: {path.parent}"
                )
            stream = next(iter(container.streams.video), None)
            if stream is None:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream"
                raise InputError(f"{path}: expected a video, found a file of {container.format.name} with {kinds}")
            if not stream.codec_context:
                raise InputError(
                    f"{path}: expected a video in a known codec, found one that FFmpeg has no decoder for. Convert it "
                    f"with the program that made it, or: ffmpeg -i {path.name} -c:v libx264 -crf 12 "
                    f"{path.stem}_converted.mp4"
                )
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream
    except av.FFmpegError as error:
        raise InputError(
            f"{path}: expected a video that FFmpeg reads, but it says: {_words(error)}. Copy the file again, "
            f"or convert it: ffmpeg -i {path.name} -c:v libx264 -crf 12 {path.stem}_converted.mp4"
        ) from error


def _words(error: av.FFmpegError) -> str:
    """What FFmpeg says of an error."""
    said = str(error.log[-1]).strip() if error.log else ""
    return f"{said} ({error.strerror})" if said else str(error.strerror)


def _upright(path: Path, frame: VideoFrame) -> np.ndarray:
    """Return the pixels as they are meant to be shown: uint8 (H, W, 3) RGB."""
    pixels: np.ndarray = frame.to_ndarray(format="rgb24", interpolation="BICUBIC")
    if (matrix := frame.side_data.get("DISPLAYMATRIX")) is None:
        return pixels
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)  # type: ignore[arg-type]  # a buffer, which its type does not say
    if frame.rotation % 90 or a * d - b * c < 0:
        raise InputError(
            f"{path}: expected frames that are shown as they are or turned by 90, 180 or 270 degrees, found that they "
            f"are to be shown {'mirrored' if a * d < b * c else f'turned by {frame.rotation} degrees'}. Make frames "
            f"that need no turning: ffmpeg -i {path.name} -c:v libx264 -crf 12 {path.stem}_upright.mp4"
        )
    return np.rot90(pixels, frame.rotation // 90)
