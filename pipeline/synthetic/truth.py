"""The known motion of the embedded dataset, as it is kept in truth.h5 and as the network's input shows it.

The file has one group per clip, named like it: `basis`, `profile` and `head`, which say where every point of the face
is in every frame (motion.py), and `moving`, the pixels of the first frame that the expression moves. Attributes of the
group are the `label` and the `action_units`; that of the file is the `moving_threshold` in pixels of the frame. `read`
brings it to the F frames of S x S pixels that the network is shown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np

from pipeline.errors import InputError
from pipeline.frames import resampling
from pipeline.storage import clip_store
from pipeline.synthetic.motion import Motion

MOVING_THRESHOLD = 0.25
"""A point moves if the expression (not the head) ever takes it farther than this, pixels at the reference size."""


class Truth(NamedTuple):
    """Where and when the expression of a clip moves the face; the head's own motion is no part of it."""

    region: np.ndarray
    """bool (S, S): whether the expression ever moves the point farther than the dataset's threshold."""
    energy: np.ndarray
    """float64 (F - 1,): mean speed of the expression between frames i and i + 1, pixels (of S) per frame."""


def record(group: h5py.Group, label: str, motion: Motion, moving: np.ndarray) -> None:
    """Fill the group of a clip: class of its expression, motion, and bool (H, W) pixels that the expression moves."""
    group.attrs["label"] = label
    group.attrs["action_units"] = np.array(motion.units, np.int32)
    packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
    group.create_dataset("basis", data=motion.basis, chunks=(1, 1, *motion.basis.shape[2:]), **packed)
    clip_store.checked_dataset(group, "profile", motion.profile)
    clip_store.checked_dataset(group, "head", motion.head)
    group.create_dataset("moving", data=moving, **packed)


def read(path: Path, clips: Sequence[str], frames: int, size: int, *, head_kept: bool) -> dict[str, Truth]:
    """Truth of each clip, in register with its `frames` interpolated frames of `size` pixels.

    Parameters
    ----------
    path
        truth.h5.
    clips
        Which.
    frames, size
        F and S.
    head_kept
        Whether the motion of the head is still in the frames, which then carries the regions along; otherwise all
        frames are in register with the first.

    Raises
    ------
    InputError
        The file is missing or damaged, or has no such clip.
    """
    with clip_store.reading(path) as file:
        missing = [clip for clip in clips if clip not in file]
        if missing:
            raise InputError(
                f"{path}: expected the motion of {len(clips)} clips, found none of {', '.join(missing[:5])}. "
                "It belongs to another clip table; run `dvc repro`."
            )
        return {clip: _truth(file[clip], frames, size, head_kept) for clip in clips}


def _truth(group: h5py.Group, frames: int, size: int, head_kept: bool) -> Truth:
    basis, profile, head, moving = (clip_store.values(group, name) for name in ("basis", "profile", "head", "moving"))
    inside = carried(moving, head, frames) if head_kept else moving
    return Truth(region(inside, size), energy(basis, profile, frames, size))


def carried(moving: np.ndarray, head: np.ndarray, frames: int) -> np.ndarray:
    """How much of the time each pixel of the frame shows the region, when the head carries it along.

    Parameters
    ----------
    moving
        bool (H, W), the region in the first frame.
    head
        (n, 2, 3), affine map from the first recorded frame to each, pixels.
    frames
        F, interpolated frames.

    Returns
    -------
    float32 (H, W), the share of the F - 1 flow frames, each of which is on the grid of the frame that it starts from.
    """
    recorded = np.arange(len(head))
    times = np.linspace(0, len(head) - 1, frames)[:-1]
    maps = np.stack([np.interp(times, recorded, path) for path in head.reshape(-1, 6).T], axis=1).reshape(-1, 2, 3)
    mask, size = moving.astype(np.float32), moving.shape[::-1]
    return np.asarray(np.stack([cv2.warpAffine(mask, one, size) for one in maps]).mean(axis=0))


def region(inside: np.ndarray, size: int) -> np.ndarray:
    """A region of the recorded frame in the resized frame.

    Parameters
    ----------
    inside
        (H, W), how much of each pixel is inside, 0 to 1.
    size
        S.

    Returns
    -------
    bool (S, S), pixels that are at least half in it.
    """
    picture = np.repeat((255 * inside).astype(np.uint8)[None, :, :, None], 3, axis=-1)
    return resampling.resize(picture, size)[0, :, :, 0] > 127


def energy(basis: np.ndarray, profile: np.ndarray, frames: int, size: int) -> np.ndarray:
    """Mean speed of the expression between interpolated frames.

    Parameters
    ----------
    basis
        (A, 2, H, W), displacement by each action unit at full strength, pixels of the recorded frame.
    profile
        (n, A), strength of each action unit in each recorded frame.
    frames
        F, interpolated frames: frame k is at time k (n - 1) / (F - 1), as in `resampling.interpolate`.
    size
        S, pixels.

    Returns
    -------
    float64 (F - 1,), pixels of the resized frame per interpolated frame.
    """
    units, _, height, width = basis.shape
    recorded = np.arange(len(profile))
    times = np.linspace(0, len(profile) - 1, frames)
    steps = np.diff([np.interp(times, recorded, profile[:, unit]) for unit in range(units)])  # (A, F - 1)
    scaled = basis.astype(np.float32) * np.array([size / width, size / height], np.float32)[:, None, None]
    return np.array([np.hypot(*np.tensordot(step.astype(np.float32), scaled, axes=1)).mean() for step in steps.T])
