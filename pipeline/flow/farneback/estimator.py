"""Polynomial expansion (Farneback) of OpenCV, for comparison.

Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003, doi:10.1007/3-540-45103-X_50.
"""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from pipeline.flow.estimators import FlowEstimator


class Estimator(FlowEstimator):
    """Farneback on grey frames, window of 15 px. Needs no weights and no GPU."""

    def __init__(self, weights: Path, device: str, tf32: bool = False) -> None:
        self.settings: dict[str, str | int | float] = {
            "method": "farneback",
            "pyramid_scale": 0.5,
            "levels": 3,
            "window": 15,
            "iterations": 3,
            "polynomial_neighbourhood": 5,
            "polynomial_sigma": 1.2,
        }
        self.arithmetic = {"opencv": cv2.__version__}

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow between adjacent frames: uint8 (T + 1, H, W, 3) RGB -> float32 (T, 2, H, W) px."""
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        flow = [
            cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]  # whose stubs do not know the None
                first,
                second,
                None,  # no first guess
                float(self.settings["pyramid_scale"]),
                int(self.settings["levels"]),
                int(self.settings["window"]),
                int(self.settings["iterations"]),
                int(self.settings["polynomial_neighbourhood"]),
                float(self.settings["polynomial_sigma"]),
                0,
            )
            for first, second in pairwise(grey)
        ]
        return np.stack(flow).transpose(0, 3, 1, 2)
