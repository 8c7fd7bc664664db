"""How a face moves in a clip, and the flow between its frames that follows from it.

The point that is at x in the first frame is at A_t(x + e_t(x)) in frame t: the expression moves it by
e_t(x) = sum over a of profile[t, a] * basis[a](x), and the whole head by the affine map A_t = head[t], which turns,
resizes and shifts the picture. Channels are (u right, v down), in pixels; frames are counted from the onset.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Motion:
    """The motion of one clip of n frames of H x W pixels, and where the face is in its first frame."""

    units: tuple[int, ...]
    """The A action units that move, by their numbers."""
    basis: np.ndarray
    """float16 (A, 2, H, W): displacement by each unit at full strength, pixels."""
    profile: np.ndarray
    """float32 (n, A): strength of each unit in each frame; none in the first."""
    head: np.ndarray
    """float32 (n, 2, 3): affine map of the whole head from the first frame to each, pixels; first the identity."""
    shift: np.ndarray
    """float32 (2,): how far the face is from the centre of the first frame, pixels."""
    zoom: float
    """How much larger the face is than in a frame that it fills exactly."""
    apex: int
    """Number of the frame of the strongest expression, all units together."""


def expression_at(basis: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Displacement by the expression alone, without the head: (A, 2, H, W), strengths (A,) -> float32 (2, H, W)."""
    return np.tensordot(np.asarray(profile, np.float32), np.asarray(basis, np.float32), axes=1)


def true_flow(basis: np.ndarray, profile: np.ndarray, head: np.ndarray, i: int, j: int) -> np.ndarray:
    """Flow from frame i to frame j, on frame i's pixel grid.

    Parameters
    ----------
    basis
        (A, 2, H, W), displacement by each action unit at full strength, pixels.
    profile
        (n_frames, A), strength of each action unit in each frame.
    head
        (n_frames, 2, 3), affine map of the head from the first frame to each, pixels. Like `basis` and `profile` as
        truth.h5 has it.
    i, j
        Numbers of two frames, counted from the onset.

    Returns
    -------
    float32 (2, H, W): u right, v down, pixels.
    """
    here, there = expression_at(basis, profile[i]), expression_at(basis, profile[j])
    origin = first_frame_positions(here, head[i])
    grid = _grid(*here.shape[1:])
    return np.asarray(moved_by(head[j], origin + _sample(there, origin)) - grid)


def moved_by(head: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Positions (2, H, W) after an affine map (2, 3): float32, pixels."""
    head = np.asarray(head, np.float32)
    return np.asarray(np.tensordot(head[:, :2], position, axes=1) + head[:, 2, None, None], np.float32)


def first_frame_positions(
    expression: np.ndarray, head: np.ndarray, start: np.ndarray | None = None, tolerance: float = 2e-3
) -> np.ndarray:
    """Where each pixel of a frame was in the first frame: the inverse of x -> head(x + expression(x)).

    Solved by fixed-point iteration, which converges because the expression's slope is below 1.

    Parameters
    ----------
    expression
        float32 (2, H, W), displacement of each pixel of the first frame, pixels.
    head
        (2, 3), affine map of the head from the first frame to this one, pixels.
    start
        float32 (2, H, W), a first guess: the answer for the previous frame, for speed.
    tolerance
        Largest change of a position, in pixels, at which the iteration stops.

    Returns
    -------
    float32 (2, H, W): x and y of the position in the first frame.

    Raises
    ------
    ArithmeticError
        The iteration does not converge: the expression folds the skin over itself.
    """
    # Shifted back before it is turned back: with a head that only drifts this is exactly one subtraction.
    shifted = _grid(*expression.shape[1:]) - np.asarray(head[:, 2], np.float32)[:, None, None]
    back = np.linalg.inv(np.asarray(head[:, :2], np.float64)).astype(np.float32)
    target = np.tensordot(back, shifted, axes=1)
    position: np.ndarray = target if start is None else start
    for _ in range(4):
        # OpenCV samples fast but only on 1/32 px: good enough to come close.
        stacked = np.ascontiguousarray(expression.transpose(1, 2, 0))
        near = cv2.remap(stacked, position[0], position[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        position = target - near.transpose(2, 0, 1)
    for _ in range(100):
        update: np.ndarray = target - _sample(expression, position)
        change = float(np.abs(update - position).max())
        position = update
        if change <= tolerance:
            return position
    raise ArithmeticError(f"the displacement field cannot be inverted: still changing by {change:.3g} px")


def _grid(height: int, width: int) -> np.ndarray:
    """x and y of every pixel: float32 (2, H, W)."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def _sample(field: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Values of a (2, H, W) field at positions (2, H, W) in pixels, bilinear; its border continues outside."""
    height, width = field.shape[1:]
    x, y = np.clip(position[0], 0, width - 1), np.clip(position[1], 0, height - 1)
    column, row = np.minimum(x.astype(np.intp), width - 2), np.minimum(y.astype(np.intp), height - 2)
    right, down = (x - column).astype(np.float32), (y - row).astype(np.float32)
    flat = (field[0] + np.complex64(1j) * field[1]).ravel()  # one complex number per vector: half the look-ups
    corner = row * width + column
    above = flat[corner] * (1 - right) + flat[corner + 1] * right
    corner += width
    below = flat[corner] * (1 - right) + flat[corner + 1] * right
    value = above + (below - above) * down
    return np.stack([value.real, value.imag])
