"""Where the head goes in a clip, and the clip as it were had the head stayed where it was in the first frame.

The paper is silent about head motion; its cropped releases are registered once per clip, which leaves the motion
*within* a clip. A head that drifts, turns or leans by a pixel moves all of the face by more than a micro-expression
moves a part of it. Dense optical flow from the first frame to every other one shows both; the head is what most of the
face agrees on. One map per frame is fitted to it by reweighted least squares with Tukey's biweight (Beaton and Tukey
1974, doi:10.1080/00401706.1974.10489171), in which what disagrees, an expression, hair, a background, counts nothing.

The head is taken out of the flow rather than out of the frames before flow is estimated between them: on faces with
known motion the end-point error of the former is 18 % smaller (docs/head_motion.md). Frames without head motion are
made for methods that read frames.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, NamedTuple

import cv2
import numpy as np

_TERMS = {"translation": 1, "affine": 3}
"""Coefficients of each map, per direction."""

FITS = ("keep", *_TERMS)
"""`keep`: head motion stays in, as in the paper; otherwise the map that is fitted to it and taken out.

Turning and leaning heads need the affine map. A similarity would do for frames as they are filmed, but the frames here
were resized to squares, whatever their shape was, and a turn in a frame that was stretched is none.
"""

AGREEING = 0.5
"""A pixel moves with the head if it is this close to where the fitted map takes it, pixels at 192 px; or, if that is
more, as close as `AGREEING_SHARE` of how far the map takes it."""
AGREEING_SHARE = 0.1
LEAST_SHARE = 0.2
"""Share of the face that must move with the head for its motion to be known."""
DOUBTFUL_SHARE = 0.5
"""Share of the face below which a large expression may have been taken for the head's motion."""
LARGEST_STEP = 6.0
"""Farthest that a head gets from one frame to the next, pixels at 192 px, at the corners of the frame."""
LEAST_CONTRAST = 2.0
"""Standard deviation of a frame that shows anything, grey levels."""

_REFERENCE_SIZE = 192
_STRIDE = 3  # pixels between those that are fitted; all of them give the same map to 0.001 px, nine times as slowly
_REACH = 3.0  # standard deviations beyond which a pixel counts nothing
_LEAST_DEVIATION = 0.02  # px; of flow that is exact, as in a clip that is one frame repeated
_ROUNDS = 15
_MIDDLE = 0.25  # of the frame, radius of what is certainly face
_ROUNDS_IN_THE_MIDDLE = 5
_FACE = 0.35  # of the frame, radius of what is mostly face
_FEATURES = 0.7  # of the frame, side of the square from the brows to the mouth
_SETTLED = 1e-5  # px, change of a coefficient after which no further round is needed


class Doubt(NamedTuple):
    """Why the motion of a head may not be what was found."""

    kind: Literal["nothing", "cut", "lost", "jump", "left"]
    """A frame shows nothing; shows something else than the frame before; the face has changed too much; the head jumps;
    the face leaves the frame."""
    frame: int
    """First of which it is true, counted from 0."""
    reason: str
    """With `{here}`, `{before}` and `{first}` for that frame, the one before it, and the first of the clip."""

    def said(self, named: Callable[[int], str] = lambda index: f"frame {index + 1}") -> str:
        """Return the reason, with the frames as a reader knows them."""
        return self.reason.format(here=named(self.frame), before=named(self.frame - 1), first=named(0))


class NoHeadMotionError(ValueError):
    """The head of a clip cannot be followed; says in which frame and why."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__(doubt.said())
        self.doubt = doubt


class Trace(NamedTuple):
    """The path of a head, and how far it can be trusted."""

    path: np.ndarray
    """float64 (F, 2, 3), affine map from the first frame to each, pixels; the first is the identity."""
    doubts: tuple[Doubt, ...]
    """The first of each kind."""
    share: float
    """Of the face, that moves with the head: the least of all frames."""
    least: int
    """The frame of that share, counted from 0."""


def follow(frames: np.ndarray, fit: str) -> np.ndarray:
    """Return the path of the head in a clip, or fail where it cannot be trusted.

    Parameters
    ----------
    frames
        uint8 (F, S, S, 3) RGB, S at least 64.
    fit
        One of `FITS`; with `keep` the head is said to rest.

    Returns
    -------
    float64 (F, 2, 3), affine map from the first frame to each, pixels; the first is the identity. Equal frames give
    equal bytes, whatever the number of threads.

    Raises
    ------
    NoHeadMotionError
        A frame shows nothing, too little of the face moves as a head could, or the head jumps or leaves the frame: a
        cut, a hand before the face, a head that turns away.
    """
    found = trace(frames, fit)
    if found.doubts:
        raise NoHeadMotionError(min(found.doubts, key=lambda doubt: doubt.frame))
    return found.path


def trace(frames: np.ndarray, fit: str) -> Trace:
    """Return the path of the head in a clip with what speaks against it; arguments as for `follow`.

    Raises
    ------
    NoHeadMotionError
        A frame shows nothing: there is no path.
    """
    if fit not in FITS:
        raise ValueError(f"expected one of {', '.join(FITS)}; found {fit!r}")
    if fit == "keep":
        return Trace(np.tile(_identity(), (len(frames), 1, 1)), (), 1.0, 0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    for index, frame in enumerate(grey):
        if (contrast := frame.std()) < LEAST_CONTRAST:
            raise NoHeadMotionError(
                Doubt(
                    "nothing",
                    index,
                    f"{{here}} shows nothing: its grey levels have a standard deviation of {contrast:.1f}, at least "
                    f"{LEAST_CONTRAST:.0f} are expected",
                )
            )
    size = frames.shape[1]
    # At this size OpenCV computes a field on one core; other fields take the others.
    with ThreadPoolExecutor(cv2.getNumThreads()) as threads:
        fields = list(threads.map(partial(_displacement, grey[0]), grey[1:]))
    path, shares = [_identity()], [1.0]
    doubts: dict[str, Doubt] = {}
    for index, field in enumerate(fields, start=1):
        # Whether there is a head to follow is asked of the affine map: a translation suits few pixels of a head that
        # turns.
        affine = fitted(field, "affine")
        shares.append(agreement(field, affine))
        head = affine if fit == "affine" else fitted(field, fit)
        path.append(head)
        if doubts.keys() & {"cut", "lost"}:
            continue  # what follows says nothing of the head
        if shares[-1] < LEAST_SHARE:
            doubt = _lost(grey, index, shares[-1])
            doubts[doubt.kind] = doubt
            continue
        step = _farthest(head, path[-2], size) * _REFERENCE_SIZE / size
        if step > LARGEST_STEP:
            reason = (
                f"the head jumps from {{before}} to {{here}}: by {step:.1f} px at 192 px, at most {LARGEST_STEP:.0f} "
                "are expected"
            )
            doubts.setdefault("jump", Doubt("jump", index, reason))
        if (outside := _outside(affine, size)) > 0:
            reason = (
                f"the face leaves the frame in {{here}}: the part from brows to mouth by {outside:.0f} px at 192 px"
            )
            doubts.setdefault("left", Doubt("left", index, reason))
    least = int(np.argmin(shares))
    return Trace(np.stack(path), tuple(doubts.values()), shares[least], least)


def _lost(grey: list[np.ndarray], index: int, share: float) -> Doubt:
    """Tell a frame that shows something else from a face that has changed little by little."""
    field = _displacement(grey[index - 1], grey[index])
    if (since_before := agreement(field, fitted(field, "affine"))) < LEAST_SHARE:
        reason = (
            f"{{here}} shows something else than {{before}}: {_percent(since_before)} of the face move as one between "
            f"them, at least {_percent(LEAST_SHARE)} must: a cut, or something in front of the face"
        )
        return Doubt("cut", index, reason)
    reason = (
        f"the face in {{here}} has changed too much since {{first}} to be followed: {_percent(share)} of it move as "
        f"one, at least {_percent(LEAST_SHARE)} must: it has turned, is covered, or has a large expression"
    )
    return Doubt("lost", index, reason)


def _percent(share: float) -> str:
    """A share, rounded down, so that what is below a limit is never printed as the limit."""
    return f"{int(100 * share + 1e-9)} %"


def _outside(head: np.ndarray, size: int) -> float:
    """How far a map takes the features of a face out of the frame, pixels at 192 px; 0 if it does not."""
    margin = (1 - _FEATURES) / 2 * (size - 1)
    ends = np.array([margin, size - 1 - margin])
    corners = _mapped(head, np.stack(np.meshgrid(ends, ends)))
    beyond = max(-corners.min(), corners.max() - (size - 1), 0.0)
    return float(beyond) * _REFERENCE_SIZE / size


def _displacement(first: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Dense flow from the first frame: uint8 (H, W) twice -> float32 (2, H, W)."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)
    # None is no first guess, which the type stubs of OpenCV do not know.
    field: np.ndarray = estimator.calc(first, frame, None)  # type: ignore[call-overload]
    return field.transpose(2, 0, 1)


def fitted(field: np.ndarray, fit: str) -> np.ndarray:
    """The map that most of a displacement field agrees on.

    Parameters
    ----------
    field
        float (2, H, W): u right, v down, pixels.
    fit
        One of `FITS` except `keep`.

    Returns
    -------
    float64 (2, 3), which takes pixel (x, y) to (x, y) + field(x, y) wherever the field is the head's.

    Raises
    ------
    ValueError
        There is no such map.
    """
    if fit not in _TERMS:
        raise ValueError(f"expected one of {', '.join(_TERMS)}; found {fit!r}")
    height, width = field.shape[1:]
    y, x = np.mgrid[:height:_STRIDE, :width:_STRIDE].reshape(2, -1)
    design = np.stack([np.ones(len(x)), (x - width / 2) / width, (y - height / 2) / height], axis=1)[:, : _TERMS[fit]]
    moved = field[:, ::_STRIDE, ::_STRIDE].reshape(2, -1).T.astype(np.float64)
    # Faces are in the middle: a background at rest, however large and rich, must not pass for the head.
    middle = np.hypot(x / width - 0.5, y / height - 0.5) < _MIDDLE
    coefficients = np.zeros((design.shape[1], 2))
    coefficients[0] = np.median(moved[middle], axis=0)
    for number in range(_ROUNDS):
        distance = np.hypot(*(moved - design @ coefficients).T)
        # Of a normal distribution in the plane the median distance from its centre is 1.18 standard deviations.
        deviation = max(float(np.median(distance[middle])) / 1.18, _LEAST_DEVIATION)
        weight = np.clip(1 - (distance / (_REACH * deviation)) ** 2, 0, None) ** 2
        if number < _ROUNDS_IN_THE_MIDDLE:
            weight *= middle
        weighted = design * weight[:, None]
        before, coefficients = coefficients, np.linalg.solve(design.T @ weighted, weighted.T @ moved)
        if np.abs(coefficients - before).max() < _SETTLED:
            break
    head = _identity()
    head[:, 2] = coefficients[0]
    if fit == "affine":
        head[:, :2] += (coefficients[1:] / [[width], [height]]).T
        head[:, 2] -= (coefficients[1] + coefficients[2]) / 2
    return head


def agreement(field: np.ndarray, head: np.ndarray) -> float:
    """Return the share of the face that a map (2, 3) takes to nearly where the field (2, H, W) does.

    The face is a disc in the middle of the frame: hair and background need not move with it. Nearly is within
    `AGREEING`, or within `AGREEING_SHARE` of the motion.
    """
    height, width = field.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float64)
    face = np.hypot(grid[0] / width - 0.5, grid[1] / height - 0.5) < _FACE
    moved = (_mapped(head, grid) - grid)[:, face]
    tolerance = np.maximum(AGREEING * width / _REFERENCE_SIZE, AGREEING_SHARE * np.hypot(*moved))
    return float((np.hypot(*(moved - field[:, face])) < tolerance).mean())


def stabilised(frames: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The clip as it were had the head stayed where it is in the first frame: uint8 (F, S, S, 3), like `frames`.

    Every frame is sampled once, bicubically. What the frame does not show, because the head came in from there, is the
    nearest of its border pixels. A frame whose map is the identity is left as it is, bit for bit.
    """
    size = frames.shape[2], frames.shape[1]
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.stack(
        [
            frame
            if np.array_equal(head, _identity())
            else cv2.warpAffine(frame, head, size, None, how, cv2.BORDER_REPLICATE)
            for frame, head in zip(frames, path, strict=True)
        ]
    )


def without(flow: np.ndarray, path: np.ndarray, fit: str) -> np.ndarray:
    """Flow as it were had the head stayed where it is in the first frame, on the grid of the stabilised frames.

    What is at q when the head is taken back is at A_i q in frame i, moves on by the flow to a point of frame i + 1, and
    is taken back from there: by the map that most of this field agrees on, and then as in frame i. That map is fitted
    to the field itself, because it then takes with it what the estimator gets wrong over all of the face; the step of
    the path from frame i to i + 1 would leave that in.

    Parameters
    ----------
    flow
        (F - 1, 2, S, S), pixels from frame i to i + 1 as they were filmed.
    path
        (F, 2, 3), from `follow`.
    fit
        That of the path, one of `FITS`; with `keep` the flow stays what it is.

    Returns
    -------
    float32 (F - 1, 2, S, S), u right, v down. Past the border of the frame the flow is that of the nearest border
    pixel.
    """
    flow = flow.astype(np.float32)
    if fit == "keep":
        return flow
    steps = zip(flow, path[:-1], strict=True)
    return np.stack([_between(field, here, _composed(fitted(field, fit), here)) for field, here in steps])


def restored(flow: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Flow (F - 1, 2, S, S) without head motion with that of its path (F, 2, 3): nearly as it was filmed.

    Not quite: what `without` took out of a field differs a little from the step of the path, and sampling twice
    smooths.
    """
    back = np.stack([_inverse(head) for head in path])
    return np.stack([_between(field, back[i], back[i + 1]) for i, field in enumerate(flow.astype(np.float32))])


def _between(field: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """A field (2, H, W) from frame i to i + 1, seen after the inverses of two affine maps, of either frame."""
    if np.array_equal(here, _identity()) and np.array_equal(there, _identity()):
        return field
    height, width = field.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float64)
    start = _mapped(here, grid)
    x, y = start.astype(np.float32)
    sampled = np.stack([cv2.remap(part, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE) for part in field])
    return (_mapped(_inverse(there), start + sampled) - grid).astype(np.float32)


def _mapped(head: np.ndarray, position: np.ndarray) -> np.ndarray:
    return np.asarray(np.tensordot(head[:, :2], position, axes=1) + head[:, 2, None, None])


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The map (2, 3) that is one map after another."""
    both: np.ndarray = np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]])
    return both[:2]


def _inverse(head: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.vstack([head, [0, 0, 1]]))[:2]


def _identity() -> np.ndarray:
    return np.eye(3)[:2]


def _farthest(head: np.ndarray, before: np.ndarray, size: int) -> float:
    """How far apart two maps take a corner of a frame, pixels."""
    corners = np.array([[x, y, 1] for x in (0, size - 1) for y in (0, size - 1)])
    return float(np.hypot(*((head - before) @ corners.T)).max())
