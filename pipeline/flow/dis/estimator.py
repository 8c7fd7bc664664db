"""Dense inverse search (DIS) of OpenCV, tuned for motion below one pixel.

Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016, doi:10.1007/978-3-319-46493-0_29.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from pipeline.flow.estimators import FlowEstimator


class Estimator(FlowEstimator):
    """DIS on grey frames, down to their full resolution, where OpenCV's presets stop at a half or less.

    Needs no weights and no GPU.
    """

    def __init__(self, weights: Path, device: str, tf32: bool = False) -> None:
        self.settings: dict[str, str | int | float] = {
            "method": "dis",
            "preset": "medium",
            "finest_scale": 0,
            "gradient_descent_iterations": 25,
            "patch_stride": 2,
            "variational_refinement_iterations": 15,
        }
        self.arithmetic = {"opencv": cv2.__version__}

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow between adjacent frames: uint8 (T + 1, H, W, 3) RGB -> float32 (T, 2, H, W) px."""
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        # At this size OpenCV computes a pair on one core; other pairs take the others.
        with ThreadPoolExecutor(cv2.getNumThreads()) as threads:
            flow = list(threads.map(self._pair, grey[:-1], grey[1:]))
        return np.stack(flow).transpose(0, 3, 1, 2)

    def _pair(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Flow from one grey frame to the next: uint8 (H, W) twice -> float32 (H, W, 2) px."""
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(int(self.settings["finest_scale"]))
        search.setGradientDescentIterations(int(self.settings["gradient_descent_iterations"]))
        search.setPatchStride(int(self.settings["patch_stride"]))
        search.setVariationalRefinementIterations(int(self.settings["variational_refinement_iterations"]))
        # None is no first guess, which OpenCV's type stubs do not know.
        flow: np.ndarray = search.calc(first, second, None)  # type: ignore[call-overload]
        return flow
