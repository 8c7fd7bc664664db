"""A clip as an array: interpolated in time, resized in space."""

import bisect
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np


class Frames(Protocol):
    """Frames of a clip that can be asked for one by one, uint8 (H, W, 3)."""

    def __len__(self) -> int:
        """Number of frames."""

    def __getitem__(self, index: int, /) -> np.ndarray:
        """Frame `index`, counted from 0."""


def interpolate(clip: Frames, count: int, times: Sequence[int] | None = None) -> np.ndarray:
    """Linear interpolation in time (section 4.1): `count` frames, evenly spaced from the first to the last.

    Output k is the clip at time k (n - 1) / (count - 1), in frames. The first and last output equal the first and
    last frame bit for bit, as does every output that falls on a frame; the others are the weighted mean of their two
    neighbours in float64, rounded once to the nearest integer (halves to even).

    Parameters
    ----------
    clip
        n >= 2 frames, uint8 (H, W, 3); indexed in ascending order, at most two held at a time.
    count
        Number of frames wanted, at least 2.
    times
        The frames that exist, ascending, from the first to the last of the clip; None: all. Over a gap, the weighted
        mean is that of the frames at its two ends.

    Returns
    -------
    uint8 (count, H, W, 3).
    """
    if len(clip) < 2 or count < 2:
        raise ValueError(f"interpolation needs at least 2 frames, got {len(clip)}, and gives at least 2, not {count}")
    times = range(len(clip)) if times is None else times
    if times[0] != 0 or times[-1] != len(clip) - 1:
        raise ValueError(f"times: expected 0 to {len(clip) - 1}, found {times[0]} to {times[-1]}")
    out = []
    for k in range(count):
        # Integer arithmetic decides which outputs fall on a frame; a float could miss by one rounding.
        place = bisect.bisect_right(times, k * (len(clip) - 1) // (count - 1)) - 1
        before = times[place]
        behind = k * (len(clip) - 1) - before * (count - 1)
        if behind == 0:
            out.append(clip[before])
            continue
        after = times[place + 1]
        weight = behind / ((count - 1) * (after - before))
        blend = (1.0 - weight) * clip[before] + weight * clip[after]
        out.append(np.rint(blend).astype(np.uint8))
    return np.stack(out)


def nearest(index: int, length: int, count: int) -> int:
    """Return the frame, counted from 0, of a clip of `length` frames that is nearest to frame `index` of `count`."""
    return round(index * (length - 1) / (count - 1))


def resize(clip: np.ndarray, size: int) -> np.ndarray:
    """Resize every frame to size x size pixels: uint8 (F, H, W, 3) -> uint8 (F, size, size, 3).

    Each axis by itself: averaged over the area of the new pixel where the axis shrinks (no aliasing), bicubic where
    it grows. Float arithmetic, rounded once; an axis that has the right length already is left as it is.
    """
    return np.stack([_resize_frame(frame, size) for frame in clip])


def _resize_frame(frame: np.ndarray, size: int) -> np.ndarray:
    height, width = frame.shape[:2]
    image: np.ndarray = frame.astype(np.float32)
    if height != size:
        image = cv2.resize(image, (width, size), interpolation=_filter(height, size))
    if width != size:
        image = cv2.resize(image, (size, size), interpolation=_filter(width, size))
    rounded: np.ndarray = np.rint(image).clip(0, 255).astype(np.uint8)
    return rounded


def _filter(before: int, after: int) -> int:
    return cv2.INTER_AREA if after < before else cv2.INTER_CUBIC
