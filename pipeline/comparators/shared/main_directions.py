"""The main direction of a region's displacement, frame by frame (MDMO).

Liu, Zhang, Yan, Wang, Zhao, Fu 2016, doi:10.1109/TAFFC.2015.2485205, section 3.3.
"""

import numpy as np

BINS = 8


def mean_vectors(displacement: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The mean of the vectors in the fullest of 8 bins of orientation, which are centred on the axes and diagonals.

    A vector of length zero has no orientation and falls into no bin; of bins that are equally full the first counts.

    Parameters
    ----------
    displacement : float32 (T, 2, H, W)
        Since the first frame, pixels.
    regions : int (H, W)
        Numbers of the R regions, -1 outside of all.

    Returns
    -------
    float64 (T, R, 2): u, v in pixels; zero where nothing in a region has moved.
    """
    count = int(regions.max()) + 1
    u, v = displacement[:, 0], displacement[:, 1]  # (T, H, W)
    voting = ((u != 0) | (v != 0)) & (regions >= 0)
    frame, row, column = np.nonzero(voting)
    u, v = u[voting], v[voting]
    orientation = np.floor(np.arctan2(v, u) * (BINS / (2 * np.pi)) + 0.5).astype(int) % BINS
    index = (frame * count + regions[row, column]) * BINS + orientation
    sums = [
        np.bincount(index, weights, minlength=len(displacement) * count * BINS).reshape(-1, count, BINS)
        for weights in (None, u, v)
    ]  # (T, R, 8) each
    fullest = sums[0].argmax(axis=2)[..., None]
    votes, *components = (np.take_along_axis(each, fullest, axis=2) for each in sums)
    return np.concatenate(components, axis=2) / np.maximum(votes, 1)


def weighted_polar(vectors: np.ndarray, weight: float) -> np.ndarray:
    """Lengths relative to the longest, and angles: [λ ρ / ρ_max, (1 - λ) θ].

    Parameters
    ----------
    vectors : float64 (..., R, 2)
        u, v in pixels. The longest is sought among all of them.
    weight
        λ, of the lengths.

    Returns
    -------
    float64 (..., 2, R): weighted lengths, then weighted angles (radians from -π to π, from right towards down).
    Zeros where there is no motion.
    """
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    angle = np.arctan2(vectors[..., 1], vectors[..., 0])
    longest = length.max()
    relative = length / (longest if longest > 0 else 1)
    return np.stack([weight * relative, (1 - weight) * angle], axis=-2)
