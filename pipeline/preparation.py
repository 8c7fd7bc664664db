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
