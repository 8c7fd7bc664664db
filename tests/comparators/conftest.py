"""Small clips with structure in space and time."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def grey_frames():
    """uint8 (12, 40, 40, 3): a texture that moves and changes, equal in all channels."""
    noise = np.random.default_rng(0).uniform(0, 1, (16, 52, 52))
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in noise])
    smooth = 0.7 * smooth[:12, 6:46, 6:46] + smooth[:1, 6:46, 6:46] + smooth[4:16, 4:44, 8:48]
    levels = 20 + 80 * (smooth - smooth.min()) / np.ptp(smooth)
    return np.repeat(levels.astype(np.uint8)[..., None], 3, axis=-1)


@pytest.fixture
def flow():
    """float32 (8, 2, 36, 36): smooth motion of all directions, below 1 px a frame."""
    noise = np.random.default_rng(1).normal(size=(8, 2, 36, 36))
    smooth = np.stack([[cv2.GaussianBlur(field, (0, 0), 3) for field in step] for step in noise])
    return (0.4 * smooth / smooth.std()).clip(-1, 1).astype(np.float32)
