"""How one clip becomes what networks read: its frames, and their flow without the motion of the head.

`predict` prepares a clip by these functions. The stages do the same to all clips of a database, one step each, so that
a change of one step leaves the results of the steps before it as they are.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.flow.estimators import FlowEstimator
from pipeline.frames import head_motion, resampling
from pipeline.frames.resampling import Frames


def frames(clip: Frames, count: int, size: int, times: Sequence[int] | None = None) -> np.ndarray:
    """Return a clip as the stages `interpolate` and `resize` make it: uint8 (count, size, size, 3) RGB.

    `times` are the frames that exist, as `resampling.interpolate` takes them; None: all.
    """
    return resampling.resize(resampling.interpolate(clip, count, times), size)


def flow(filmed: np.ndarray, path: np.ndarray, fit: str, estimator: FlowEstimator) -> np.ndarray:
    """Return the flow of a clip as the stage `extract_flow` makes it.

    Parameters
    ----------
    filmed : uint8 (F, S, S, 3) RGB
        From `frames`.
    path : float64 (F, 2, 3)
        Path of the head in it, from `head_motion.follow`.
    fit
        That of the path.
    estimator
        Estimates the flow between adjacent frames.

    Returns
    -------
    float16 (F - 1, 2, S, S): u right, v down, pixels per frame.
    """
    return without_head(estimator.estimate_clips(filmed[None])[0], path, fit)


def without_head(estimated: np.ndarray, path: np.ndarray, fit: str) -> np.ndarray:
    """Return estimated flow (F - 1, 2, S, S) without the motion of the head, float16 as it is stored.

    Flow is rounded before and after: an interrupted extraction keeps estimated flow in half precision, too, and ends
    with the bytes of one that was not interrupted.
    """
    return head_motion.without(estimated.astype(np.float16), path, fit).astype(np.float16)


def key_frames(clip: Frames, numbers: Sequence[int], size: int) -> np.ndarray:
    """Return some frames of a clip as they were filmed, resized: uint8 (len(numbers), size, size, 3) RGB.

    `numbers` count from 0, the onset, in ascending order.
    """
    return resampling.resize(np.stack([clip[number] for number in numbers]), size)


def key_flow(filmed: np.ndarray, fit: str, estimator: FlowEstimator) -> np.ndarray:
    """Return the flow from the first frame to each other one, without the motion of the head.

    Parameters
    ----------
    filmed : uint8 (T + 1, S, S, 3) RGB
        From `key_frames`; the first is the onset.
    fit
        How head motion is removed, one of `head_motion.FITS`.
    estimator
        Estimates the flow.

    Returns
    -------
    float16 (T, 2, S, S): u right, v down, pixels.
    """
    estimated = np.concatenate(
        [estimator.estimate_clips(filmed[None, [0, number]])[0] for number in range(1, len(filmed))]
    )
    # The head is where it is at the onset; a map of its own is fitted to each field.
    return without_head(estimated, np.tile(np.eye(2, 3), (len(filmed), 1, 1)), fit)


def estimated_apex(
    clip: Frames, size: int, fit: str, estimator: FlowEstimator, numbers: Sequence[int] | None = None
) -> int:
    """Return the frame of a clip that moved farthest from the onset after head motion is removed, counted from 0.

    `numbers` are those of the frames to choose from; None stands for all after the onset.

    The motion of a frame is the mean square length of its flow vectors since the onset: an expression moves few pixels
    far, the errors of the estimator move all of them a little. Of equal frames the first is taken; it is never the
    onset itself. Two frames are in memory at a time.
    """

    def motion(number: int) -> float:
        u, v = key_flow(key_frames(clip, (0, number), size), fit, estimator)[0].astype(np.float32)
        return float((u**2 + v**2).mean())

    return max(range(1, len(clip)) if numbers is None else numbers, key=motion)
