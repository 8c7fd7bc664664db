"""What an estimator of optical flow provides, which ones there are, and one of them by its name."""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path

import numpy as np

# Looked up and not listed: a list would be part of what every study's flow depends on, and one more name in it would
# have all flow estimated again.
METHODS = tuple(sorted(module.parent.name for module in Path(__file__).parent.glob("*/estimator.py")))


class FlowEstimator(ABC):
    """What a folder of this room provides as class `Estimator` in its module `estimator`.

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
    kind: type[FlowEstimator] = import_module(f"pipeline.flow.{method}.estimator").Estimator
    return kind(weights, device, tf32)
