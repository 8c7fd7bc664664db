"""Where the pixels of a clip's first frame have gone."""

import cv2
import numpy as np


def displacement(flow: np.ndarray) -> np.ndarray:
    """Displacement since the first frame: every pixel of it is followed through the adjacent flows.

    Averaged as they are, adjacent flows cancel over a clip that ends where it began.

    Parameters
    ----------
    flow : float32 (T, 2, H, W)
        Pixels from frame i to i + 1, u right and v down.

    Returns
    -------
    float32 (T, 2, H, W): from the first frame to frame i + 1, at the pixels of the first frame. Beyond the picture
    the flow of its border goes on.
    """
    height, width = flow.shape[2:]
    start = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)  # (H, W, 2)
    moved = np.zeros_like(start)
    steps = []
    for step in np.ascontiguousarray(flow.transpose(0, 2, 3, 1), np.float32):  # (H, W, 2)
        place = start + moved
        moved = moved + cv2.remap(step, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        steps.append(moved.transpose(2, 0, 1))
    return np.stack(steps)
