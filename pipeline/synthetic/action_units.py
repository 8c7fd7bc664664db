"""Facial action units as motion: which skin goes where, when, and in which expressions.

Action units (AU) are those of the Facial Action Coding System (Ekman and Friesen, 1978). Each is a sum of Gaussian
bumps of displacement anchored at landmarks: broad enough that the motion stays smooth and invertible, local enough that
units can be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.face import Point


@dataclass(frozen=True)
class Bump:
    """A patch of skin that moves as one; lengths in face units.

    `anchor` is a landmark's name. Without its `_left` / `_right` it stands for both, mirrored.
    """

    anchor: str
    outward: float  # direction and strength: away from the midline (to the right for a single landmark) ...
    down: float  # ... and down
    across: float  # standard deviation across the face
    along: float  # standard deviation along the face


ACTION_UNITS: dict[int, tuple[Bump, ...]] = {
    # Inner brow raiser, outer brow raiser
    1: (Bump("brow_inner", 0.0, -1.0, 0.12, 0.12),),
    2: (Bump("brow_outer", 0.1, -1.0, 0.13, 0.12), Bump("brow_middle", 0.0, -0.4, 0.13, 0.12)),
    # Brow lowerer
    4: (Bump("brow_inner", -0.55, 0.80, 0.12, 0.11), Bump("brow_middle", -0.15, 0.50, 0.13, 0.11)),
    # Upper lid raiser
    5: (Bump("lid_upper", 0.0, -1.0, 0.12, 0.055),),
    # Cheek raiser: the cheek and the eye's outer corner
    6: (Bump("cheek", 0.05, -1.0, 0.14, 0.13), Bump("eye_outer", -0.45, -0.15, 0.10, 0.10)),
    # Lid tightener
    7: (Bump("lid_lower", -0.2, -1.0, 0.12, 0.06), Bump("lid_upper", 0.0, 0.5, 0.12, 0.055)),
    # Nose wrinkler
    9: (
        Bump("nose_wing", 0.05, -1.0, 0.10, 0.12),
        Bump("nose_side", 0.0, -0.6, 0.09, 0.12),
        Bump("nose_root", 0.0, 0.35, 0.12, 0.09),
    ),
    # Upper lip raiser
    10: (Bump("lip_upper", 0.1, -1.0, 0.12, 0.09), Bump("nose_wing", 0.15, -0.35, 0.10, 0.10)),
    # Lip corner puller
    12: (Bump("mouth_corner", 0.75, -0.65, 0.12, 0.11), Bump("cheek", 0.15, -0.35, 0.15, 0.13)),
    # Dimpler
    14: (Bump("mouth_corner", 0.95, 0.05, 0.10, 0.10), Bump("mouth_side", -0.25, 0.0, 0.09, 0.11)),
    # Lip corner depressor
    15: (Bump("mouth_corner", 0.10, 1.0, 0.11, 0.11),),
    # Chin raiser
    17: (Bump("chin", 0.0, -1.0, 0.17, 0.11), Bump("lip_bottom", 0.0, -0.50, 0.15, 0.08)),
    # Lip presser
    24: (
        Bump("lip_top", 0.0, 0.9, 0.15, 0.08),
        Bump("lip_bottom", 0.0, -1.0, 0.15, 0.085),
        Bump("mouth_corner", -0.25, 0.0, 0.10, 0.10),
    ),
}

# Which units an expression shows, and how often. The classes overlap, as in life: AU4 is most of all disgust but also
# frowned surprise and restraint; AU12 is happiness and, held back by AU14, 15, 17 or 24, repression.
COMBINATIONS: dict[str, tuple[tuple[float, tuple[int, ...]], ...]] = {
    "disgust": (
        (3.5, (4, 9)),
        (2.5, (4, 7)),
        (2.0, (4, 7, 9)),
        (2.0, (9, 10)),
        (2.0, (4,)),
        (1.0, (4, 10, 17)),
        (1.0, (10, 14)),
    ),
    "happiness": (
        (3.5, (6, 12)),
        (3.0, (12,)),
        (1.5, (6, 12, 14)),
        (1.5, (12, 14)),
        (1.0, (12, 15)),
        (0.7, (1, 2, 12)),
    ),
    "repression": (
        (2.0, (14, 17)),
        (1.5, (15, 17)),
        (1.5, (12, 24)),
        (1.5, (12, 15, 17)),
        (1.5, (12, 14)),
        (1.0, (14,)),
        (1.0, (17,)),
        (1.0, (4, 24)),
        (0.5, (2, 17)),
    ),
    "surprise": (
        (4.0, (1, 2)),
        (2.5, (1, 2, 5)),
        (1.5, (2,)),
        (1.5, (1, 2, 4)),
        (1.0, (1, 4)),
        (0.7, (1, 2, 12)),
        (0.6, (5,)),
    ),
    "tense": (
        (3.0, (4, 7)),
        (2.0, (7,)),
        (1.5, (1, 4)),
        (1.5, (7, 24)),
        (1.0, (4, 15)),
        (1.0, (24,)),
    ),
}
COMBINATIONS["anger"] = (
    (3.0, (4, 7)),
    (2.0, (4, 5, 7)),
    (1.5, (7,)),
    (1.0, (4, 7, 24)),
    (1.0, (17, 24)),
)
COMBINATIONS["contempt"] = ((3.0, (14,)), (1.5, (12, 14)), (1.0, (2, 14)))
COMBINATIONS["fear"] = ((2.5, (1, 2, 4, 5)), (2.0, (1, 4)), (1.5, (4, 5)), (1.0, (1, 4, 7)), (0.7, (5,)))
COMBINATIONS["sadness"] = ((2.5, (1, 4)), (2.0, (15,)), (1.5, (1, 4, 15)), (1.5, (15, 17)), (1.0, (1,)))
COMBINATIONS["other"] = ((1.5, (4,)), (1.5, (12,)), (1.0, (1, 4)), (1.0, (15,)), (1.0, (17,)))
# SMIC tells only how an expression feels.
COMBINATIONS["negative"] = (*COMBINATIONS["disgust"], (2.0, (15, 17)), (1.5, (1, 4)))
COMBINATIONS["positive"] = COMBINATIONS["happiness"]
# CAS(ME)3, 4DME and MMEW have other words.
COMBINATIONS["happy"] = COMBINATIONS["happiness"]
COMBINATIONS["sad"] = COMBINATIONS["sadness"]
COMBINATIONS["others"] = COMBINATIONS["other"]

# Faces also move in ways that have nothing to do with the expression: one of these units joins in, weakly.
_STRAY_UNITS = (2, 4, 6, 12, 14, 17)
_STRAY_CHANCE = 0.5
_STRAY_STRENGTH = (0.3, 0.7)

# Bumps end here, in standard deviations, so that most of a field is exactly zero.
_REACH = 3.0

# Fields are rounded to this step: far below what a frame can show, and it halves their compressed size.
_STEP = 1 / 1024


def draw_expression(label: str, rng: np.random.Generator) -> dict[int, float]:
    """Draw the action units of one expression of class `label`, and how strong each is; the strongest is 1."""
    weights = np.array([weight for weight, _ in COMBINATIONS[label]])
    units = COMBINATIONS[label][rng.choice(len(weights), p=weights / weights.sum())][1]
    strength = rng.uniform(0.6, 1.0, len(units))
    expression = dict(zip(units, (strength / strength.max()).tolist(), strict=True))
    if rng.random() < _STRAY_CHANCE:
        expression.setdefault(int(rng.choice(_STRAY_UNITS)), float(rng.uniform(*_STRAY_STRENGTH)))
    return dict(sorted(expression.items()))


def unit_displacement(
    unit: int,
    landmarks: dict[str, Point],
    scale: float,
    sides: tuple[float, float],
    height: int,
    width: int,
) -> np.ndarray:
    """Displacement field of one action unit, with a peak of 1.

    Parameters
    ----------
    unit
        Number of the action unit, a key of `ACTION_UNITS`.
    landmarks
        Anchor points in pixels.
    scale
        Pixels per face unit.
    sides
        Strength of the left and the right half of the face; only their ratio matters.
    height, width
        Size of the field in pixels.

    Returns
    -------
    float16 (2, height, width): u right, v down; pixels of motion per pixel of peak motion.
    """
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    field = np.zeros((2, height, width), np.float32)
    for bump in ACTION_UNITS[unit]:
        for anchor, mirror, strength in _anchors(bump, landmarks, sides):
            cx, cy = landmarks[anchor]
            # A Gaussian is the outer product of its profiles along both axes.
            patch = np.outer(_profile(y - cy, bump.along * scale), _profile(x - cx, bump.across * scale))
            field[0] += strength * mirror * bump.outward * patch
            field[1] += strength * bump.down * patch
    field /= np.sqrt((field**2).sum(0).max())
    return (np.round(field / _STEP) * _STEP).astype(np.float16)


def time_course(n_frames: int, start: float, apex: float, residue: float) -> np.ndarray:
    """Intensity of one action unit over a clip: 0 until `start`, 1 at `apex`, `residue` at the last frame.

    Parameters
    ----------
    n_frames
        Length of the clip, at least 3.
    start, apex
        In frames, 0 <= start < apex < n_frames - 1.
    residue
        What is left of the motion when the clip ends, 0..1.

    Returns
    -------
    float32 (n_frames,) in 0..1; the first value is exactly 0.
    """
    t = np.arange(n_frames)
    rise = _ease((t - start) / (apex - start))
    fall = _ease((t - apex) / (n_frames - 1 - apex))
    return (rise * (1 - (1 - residue) * fall)).astype(np.float32)


def _anchors(bump: Bump, landmarks: dict[str, Point], sides: tuple[float, float]) -> list[tuple[str, float, float]]:
    """Landmark, mirror sign and strength of each place where a bump occurs."""
    if bump.anchor in landmarks:
        return [(bump.anchor, 1.0, (sides[0] + sides[1]) / 2)]
    return [(f"{bump.anchor}_left", -1.0, sides[0]), (f"{bump.anchor}_right", 1.0, sides[1])]


def _profile(distance: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian lowered to meet zero at its reach; 1 in its centre."""
    floor = np.exp(-0.5 * _REACH**2)
    lowered: np.ndarray = (np.exp(-0.5 * (distance / deviation) ** 2) - floor) / (1 - floor)
    return np.asarray(np.clip(lowered, 0, None))


def _ease(t: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1, with zero slope at both ends."""
    t = np.clip(t, 0, 1)
    eased: np.ndarray = t * t * (3 - 2 * t)
    return eased
