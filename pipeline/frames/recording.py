"""The frames of a clip, each read when it is asked for."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.frames import frame_files


class Recording:
    """Frames of one clip from onset to offset, uint8 (H, W, 3) RGB, each read when it is asked for.

    The `box` (x, y, width, height in pixels) can be set at any time: only what is inside it is then given. With `gaps`,
    frames between onset and offset may be missing, and `times` are those that exist.

    Raises
    ------
    InputError
        When a frame is asked for that is missing, unreadable, or of another size or EXIF orientation than the frames
        before it.
    """

    def __init__(
        self,
        folder: Path,
        onset: int,
        offset: int,
        box: tuple[int, int, int, int] | None = None,
        *,
        gaps: bool = False,
    ) -> None:
        self.folder = folder
        self.onset = onset
        self.offset = offset
        self.box = box
        self._files = frame_files.numbered(folder)
        self.times: Sequence[int] = range(offset - onset + 1)
        """The frames to read, counted from 0."""
        if gaps:
            between = (number - onset for number in self._files if onset < number < offset)
            self.times = [0, *between, offset - onset]
        self._shape: tuple[int, ...] | None = None
        self._orientation: int | None = None
        self._cached = lru_cache(maxsize=2)(self._read)  # neighbours in time are the only frames needed twice

    def __len__(self) -> int:
        return self.offset - self.onset + 1

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = self._cached(self.onset + index)
        if self.box is None:
            return image
        x, y, width, height = self.box
        return image[y : y + height, x : x + width]

    def _read(self, number: int) -> np.ndarray:
        if number not in self._files:
            raise InputError(
                f"{self.folder}: expected frames {self.onset} to {self.offset}, but frame {number} is missing. "
                "Copy the clip again."
            )
        image = frame_files.read(self._files[number])
        orientation = frame_files.orientation(self._files[number])
        self._orientation = self._orientation or orientation
        if orientation != self._orientation:
            raise InputError(
                f"{self._files[number]}: expected EXIF orientation {self._orientation} like the frames before it, "
                f"found {orientation}. Give all frames of a clip the one that shows the face upright."
            )
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            raise InputError(
                f"{self._files[number]}: expected {self._shape[1]} x {self._shape[0]} px like the frames before it, "
                f"found {image.shape[1]} x {image.shape[0]} px. Copy the clip again."
            )
        return image
