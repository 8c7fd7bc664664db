"""A clip in a video file, frame by frame."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import InputError

os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "16"  # errors: the only sign that what was decoded is not what was recorded
_PREFIX = "[OPENCV:FFMPEG:16] "


class VideoFile:
    """Frames of a video from onset to offset, uint8 (H, W, 3) RGB, each decoded when it is asked for.

    The first frame of the video is number 1. Asked for in ascending order, no frame is decoded twice; at most two are
    held. With a `box` (x, y, width, height in pixels), only what is inside it.

    Parameters
    ----------
    path
        Anything that OpenCV reads.
    onset, offset
        First and last frame; None for those of the video.
    box
        None for whole frames.

    Raises
    ------
    InputError
        The file is no video, FFmpeg finds errors in it, or it does not have these frames.
    """

    def __init__(
        self,
        path: Path,
        onset: int | None = None,
        offset: int | None = None,
        box: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.path = path
        self.box = box
        count = 0
        with _said() as remarks:
            self._open()
            while self._video.grab():  # the number in the header of a file is a guess
                count += 1
        if count == 0:
            raise InputError(f"{path}: expected a video that OpenCV reads, found no frame in it")
        if remarks:
            raise InputError(
                f"{path}: expected a video without errors, but FFmpeg says of it: {remarks[0]}"
                f"{f' (and {len(remarks) - 1} more)' if len(remarks) > 1 else ''}. Copy the file again."
            )
        self.onset = 1 if onset is None else onset
        self.offset = count if offset is None else offset
        if self.onset < 1 or self.offset > count:
            raise InputError(f"{path}: expected frames {self.onset} to {self.offset}, found 1 to {count}")
        self._open()

    def __len__(self) -> int:
        return self.offset - self.onset + 1

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self.onset + index
        if number not in self._held:
            if number <= self._last:
                self._open()
            while self._last < number:
                self._decode()
        frame = self._held[number]
        if self.box is None:
            return frame
        x, y, width, height = self.box
        return frame[y : y + height, x : x + width]

    def _open(self) -> None:
        self._video = cv2.VideoCapture(str(self.path))
        self._last = 0
        self._held: dict[int, np.ndarray] = {}

    def _decode(self) -> None:
        read, image = self._video.read()
        if not read:
            raise InputError(f"{self.path}: frame {self._last + 1} cannot be decoded")
        self._held = {number: frame for number, frame in self._held.items() if number == self._last}
        self._last += 1
        self._held[self._last] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@contextmanager
def _said() -> Iterator[list[str]]:
    """What FFmpeg says while the block runs; it writes past Python, to the process's own output."""
    said: list[str] = []
    flush = ctypes.CDLL(None).fflush
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        before = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in before:
                os.dup2(file.fileno(), number)
            yield said
        finally:
            flush(None)
            for number, copy in before.items():
                os.dup2(copy, number)
                os.close(copy)
        file.seek(0)
        lines = file.read().decode(errors="replace").splitlines()
    said += [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]
