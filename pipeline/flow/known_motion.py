"""A pair of frames whose flow is known, and how far an estimator is from it."""

from collections.abc import Callable

import numpy as np


def sanity_check(estimate_pairs: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Try an estimator on known motion: (its mean end-point error, that of zero flow), both in pixels.

    `estimate_pairs` takes two uint8 (N, H, W, 3) batches and returns (N, 2, H, W) pixels. An estimator that
    works stays well below the error of zero flow.
    """
    first, second, flow = synthetic_pair(np.random.default_rng(2017))
    estimate = estimate_pairs(first[None], second[None])[0]
    return float(np.hypot(*(estimate - flow)).mean()), float(np.hypot(*flow).mean())


def synthetic_pair(
    rng: np.random.Generator, size: int = 192, largest: float = 0.8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two textured frames, uint8 (size, size, 3), and the flow between them, float32 (2, size, size), pixels.

    The texture is a sum of waves, so that it is known between the pixels without interpolation. The flow is a
    sum of wide bumps whose longest vector has the length `largest`. The first frame is the second, looked up
    at x + flow: first(x) = second(x + flow(x)) holds exactly, but for the rounding to uint8.
    """
    y, x = np.mgrid[:size, :size].astype(np.float64)
    flow = np.zeros((2, size, size))
    for _ in range(6):
        centre, width = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0.15, 0.3) * size
        bump = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * width**2))
        flow += rng.normal(size=(2, 1, 1)) * bump
    flow *= largest / np.hypot(*flow).max()
    frames = np.zeros((2, size, size, 3))
    for wavelength in np.geomspace(5, size / 2, 80):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        # Long waves are strong and short ones weak, as in photographs; the channels differ a little.
        amplitude = wavelength**0.5 * rng.uniform(0.7, 1.0, 3)
        for frame, (u, v) in zip(frames, (flow, np.zeros_like(flow)), strict=True):
            turns = (np.cos(angle) * (x + u) + np.sin(angle) * (y + v)) / wavelength
            frame += amplitude * np.sin(2 * np.pi * turns + phase)[..., None]
    frames = np.clip(127.5 + 45 * frames / frames.std(), 0, 255).round().astype(np.uint8)
    return frames[0], frames[1], flow.astype(np.float32)
