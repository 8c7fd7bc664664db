"""Optical flow estimators, one module per value of `flow.method`; each has a class `Estimator`.

No estimator falls back to another.
"""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path

import numpy as np

METHODS = ("dis", "farneback", "flownet2")


class FlowEstimator(ABC):
    """What a module of this package provides as `Estimator`.

    `settings` is what the flow depends on besides the frames: the attributes of flow.h5. `arithmetic` is what else
    decides its last digits: versions of libraries, the device. `on_gpu` says that the CPU idles meanwhile.
    """

    settings: dict[str, str | int | float]
    arithmetic: dict[str, str | int]
    on_gpu = False

    @abstractmethod
    def __init__(self, weights: Path, device: str, tf32: bool = False) -> None:
        """Weights, device and TF32 concern the networks only."""

    @abstractmethod
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow of one clip: uint8 (T + 1, H, W, 3) RGB -> float32 (T, 2, H, W), from frame i to i + 1.

        In pixels, u to the right and v down.
        """

    def clips_at_once(self, shape: tuple[int, ...]) -> int:
        """How many clips of (T + 1, H, W, 3) `estimate_clips` should be given at a time."""
        return 1

    def estimate_clips(self, frames: np.ndarray) -> np.ndarray:
        """Flow of N clips: uint8 (N, T + 1, H, W, 3) RGB -> float32 (N, T, 2, H, W) px."""
        return np.stack([self(clip) for clip in frames])


def estimator(method: str, weights: Path, device: str, tf32: bool = False) -> FlowEstimator:
    """Estimator by name, one of `METHODS`.

    Raises
    ------
    InputError
        The weights or the device that a network needs cannot be used.
    """
    return import_module(f"pipeline.flow.{method}").Estimator(weights, device, tf32)
