"""Optical flow estimators, one module per value of `flow.method`.

Every module has a class `Estimator(weights: Path, device: str)`:

- `settings`: dict of what the estimate depends on, recorded as attributes of flow.h5;
- `__call__(frames)`: uint8 (T + 1, H, W, 3) RGB -> float32 (T, 2, H, W), flow from frame i to frame i + 1 in pixels,
  u to the right and v down.

No estimator falls back to another.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

METHODS = ("dis", "farneback", "flownet2")


class FlowEstimator(Protocol):
    """What a module of this package provides as `Estimator`."""

    settings: dict[str, str | int | float]

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow of one clip: uint8 (T + 1, H, W, 3) RGB -> float32 (T, 2, H, W) px."""


def estimator(method: str, weights: Path, device: str) -> FlowEstimator:
    """Estimator by name, one of `METHODS`."""
    return import_module(f"pipeline.flow.{method}").Estimator(weights, device)
