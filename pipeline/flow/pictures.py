"""A flow field as the small pictures that key-frame methods read: u, v and the optical strain.

All of it is computed from one clip alone, without a label.
"""

import cv2
import numpy as np

LARGEST = 255.0
"""Largest value of a picture; the smallest one is 0."""


def resized(field: np.ndarray, size: int) -> np.ndarray:
    """Return a flow field on a grid of another size, in pixels of that grid.

    A value of the result is the mean over the area of its pixel where the grid shrinks.

    Parameters
    ----------
    field : float (2, H, W)
        u right, v down, pixels.
    size
        Side of the new grid.

    Returns
    -------
    float32 (2, size, size), pixels of the new grid.
    """
    height, width = field.shape[1:]
    scale = np.array([size / width, size / height], np.float32)[:, None, None]
    return np.asarray(_resampled(field, size) * scale)


def strain(field: np.ndarray) -> np.ndarray:
    """Return the optical strain of a flow field: sqrt(u_x² + v_y² + ½ (u_y + v_x)²).

    This is the Frobenius norm of the symmetric part of the displacement gradient (Shreve et al. 2011,
    doi:10.1109/FG.2011.5771451). Derivatives are central differences, one-sided at the border.

    Parameters
    ----------
    field : float (2, H, W)
        u right, v down, pixels; H and W at least 2.

    Returns
    -------
    float32 (H, W), without a unit; 0 where the field moves, turns slightly or rests as a whole.
    """
    u, v = field.astype(np.float32)
    u_y, u_x = np.gradient(u)
    v_y, v_x = np.gradient(v)
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2))


def pictures(field: np.ndarray, size: int) -> np.ndarray:
    """Return u, v and strain of a flow field as pictures, each stretched from its smallest to its largest value.

    The strain is computed on the full grid. A channel is then averaged to the small grid and stretched to 0..255; a
    channel with a single value is 0 everywhere.

    Parameters
    ----------
    field : float (2, H, W)
        u right, v down, pixels.
    size
        Side of the pictures.

    Returns
    -------
    float32 (3, size, size), 0..255.
    """
    channels = _resampled(np.concatenate([field.astype(np.float32), strain(field)[None]]), size)
    smallest = channels.min(axis=(1, 2), keepdims=True)
    span = channels.max(axis=(1, 2), keepdims=True) - smallest
    return np.where(span > 0, (channels - smallest) / np.where(span > 0, span, 1) * np.float32(LARGEST), 0).astype(
        np.float32
    )


def _resampled(channels: np.ndarray, size: int) -> np.ndarray:
    """(C, H, W) -> float32 (C, size, size)."""
    height, width = channels.shape[1:]
    how = cv2.INTER_AREA if size <= min(height, width) else cv2.INTER_LINEAR
    return np.stack([cv2.resize(channel.astype(np.float32), (size, size), interpolation=how) for channel in channels])
