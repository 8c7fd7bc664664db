"""The embedded dataset: procedural faces with known motion, written as the owners of a database lay it out.

`write_tree` makes what the owners ship (for CASME II `Cropped/sub01/EP02_01f/reg_img46.jpg` and an annotation
spreadsheet) plus the motion behind every frame (truth.py says how) and a contact sheet, one glance at all of it.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np

from pipeline import paths
from pipeline.databases.layouts import LAYOUTS, Layout
from pipeline.storage import clip_store
from pipeline.synthetic import truth
from pipeline.synthetic.camera import Camera, Portrait, film, portrait
from pipeline.synthetic.expression import draw_motion
from pipeline.synthetic.face import draw_subject
from pipeline.synthetic.layout_writer import annotation_row, frame_file, write_annotation, write_picture
from pipeline.synthetic.motion import Motion
from pipeline.synthetic.overview import Captioned, overview, pictures
from pipeline.synthetic.plan import PlannedClip, draw_plan

MAX_AMPLITUDE = 4.0
"""Largest amplitude, pixels at the reference size, at which no combination of action units folds the skin over."""

# First word of each kind of random stream; the second is the subject.
_PLAN, _SUBJECT, _CLIP, _HEAD = range(4)


def write_tree(
    folder: Path,
    *,
    seed: int,
    subjects: int,
    clips: int,
    height: int,
    width: int,
    frames: tuple[int, int],
    amplitude: tuple[float, float],
    drift: float,
    rotation: float,
    scale: float,
    noise: float,
    flicker: float,
    layout: str = "casme2",
) -> Iterator[str]:
    """Write the dataset into `folder`, clip by clip.

    The tree is complete when the iterator is exhausted. Equal arguments give equal bytes; a subject's face depends on
    `seed` and the subject's number alone.

    Parameters
    ----------
    folder
        Where to write; empty, or not there yet.
    seed
        Seed of everything that is drawn at random; not negative.
    subjects, clips
        How many; at least one clip per subject and per class.
    height, width
        Size of a frame in pixels, at least 64 each.
    frames
        Shortest and longest clip, in frames; at least 3.
    amplitude
        Smallest and largest peak displacement of an expression's strongest action unit, in pixels of a picture whose
        shorter side is 192; up to `MAX_AMPLITUDE`.
    drift
        Farthest that the head gets from where it was at the onset, in the same pixels.
    rotation, scale
        Farthest that the head's turning in the picture plane, and its coming closer or going away, move the edge of the
        face (half of 192 px from its centre), in the same pixels. 0: the head only drifts, with the frames of a version
        that knew nothing else.
    noise
        Standard deviation of the camera's noise, grey levels.
    flicker
        Standard deviation of the illumination from frame to frame, as a fraction.
    layout
        Whose folders, names and classes: a key of `LAYOUTS`.

    Yields
    ------
    The id of each clip once its frames are written, such as `sub01/EP02_01f`.

    Raises
    ------
    ValueError
        An argument is out of range.
    FileExistsError
        `folder` is not empty.
    """
    _require(seed >= 0, "seed", seed, "0 or more")
    _require(subjects >= 1, "subjects", subjects, "1 or more")
    _require(layout in LAYOUTS, "layout", layout, ", ".join(LAYOUTS))
    written = LAYOUTS[layout]
    least = max(subjects, len(written.classes))
    _require(clips >= least, "clips", clips, f"{least} or more: one per subject and one per class")
    _require(height >= 64, "height", height, "64 or more")
    _require(width >= 64, "width", width, "64 or more")
    _require(3 <= frames[0] <= frames[1], "frames", frames, "(shortest, longest) with 3 <= shortest <= longest")
    _require(
        0 <= amplitude[0] <= amplitude[1] <= MAX_AMPLITUDE,
        "amplitude",
        amplitude,
        f"(smallest, largest) with 0 <= smallest <= largest <= {MAX_AMPLITUDE}",
    )
    _require(0 <= drift <= 16, "drift", drift, "0 to 16")
    _require(0 <= rotation <= 16, "rotation", rotation, "0 to 16")
    _require(0 <= scale <= 16, "scale", scale, "0 to 16")
    _require(0 <= noise <= 64, "noise", noise, "0 to 64")
    _require(0 <= flicker <= 0.3, "flicker", flicker, "0 to 0.3")
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected an empty folder, found {next(folder.iterdir()).name} in it")
    camera = Camera(
        height=height, width=width, drift=drift, rotation=rotation, scale=scale, noise=noise, flicker=flicker
    )
    plan = draw_plan(_stream(seed, _PLAN), subjects, clips, frames, written)
    return _write(folder, seed, plan, amplitude, camera, written)


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {allowed}; found {value}")


def _stream(seed: int, *words: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, *words))))


def _write(
    folder: Path, seed: int, plan: list[PlannedClip], amplitude: tuple[float, float], camera: Camera, layout: Layout
) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[object, ...]] = []
    shown: dict[tuple[str, str], list[Captioned]] = {}
    threshold = truth.MOVING_THRESHOLD * camera.pixel
    with h5py.File(paths.truth(folder), "w", libver=clip_store.FORMAT) as known:
        known.attrs["moving_threshold"] = threshold
        for clip, motion, taken in _take_all(folder, seed, plan, amplitude, camera, layout):
            truth.record(known.create_group(clip.clip), clip.label, motion, taken.peak > threshold)
            rows.append(annotation_row(clip, motion, layout))
            key = clip.clip.split("/")[0], clip.label
            if key not in shown:
                shown[key] = pictures(clip.label, motion.units, taken.onset, taken.apex, taken.displacement)
            yield clip.clip
    if layout.annotation:
        write_annotation(folder / layout.annotation, rows, layout)
    write_picture(paths.synthetic_contact_sheet(folder), overview(shown, layout.classes)[..., ::-1])


class _Taken(NamedTuple):
    """What is remembered of a clip whose frames are written."""

    onset: np.ndarray
    """uint8 (H, W, 3) BGR, its first frame."""
    apex: np.ndarray
    displacement: np.ndarray
    """float32 (2, H, W), by the expression at the apex, pixels."""
    peak: np.ndarray
    """float32 (H, W), farthest that the expression moves each pixel."""


def _take_all(
    folder: Path, seed: int, plan: list[PlannedClip], amplitude: tuple[float, float], camera: Camera, layout: Layout
) -> Iterator[tuple[PlannedClip, Motion, _Taken]]:
    """Draw the motion of every clip and write its frames, in the order of the plan, as many at a time as cores."""
    at_once = cv2.getNumThreads()
    ahead: deque[tuple[PlannedClip, Motion, Future[_Taken]]] = deque()
    subject = 0
    with ThreadPoolExecutor(at_once) as threads:
        for index, clip in enumerate(plan):
            if clip.subject != subject:
                subject = clip.subject
                face = draw_subject(_stream(seed, _SUBJECT, subject))
                painted = portrait(face, camera, amplitude[1])
            rng = _stream(seed, _CLIP, subject, index)
            head_rng = _stream(seed, _HEAD, subject, index)
            motion = draw_motion(clip.label, clip.n_frames, face, amplitude, camera, rng, head_rng)
            frame_file(folder, layout, clip, clip.onset).parent.mkdir(parents=True)
            ahead.append((clip, motion, threads.submit(_take, folder, clip, motion, painted, camera, rng, layout)))
            if len(ahead) > at_once:
                earlier, its_motion, taken = ahead.popleft()
                yield earlier, its_motion, taken.result()
        for clip, motion, taken in ahead:
            yield clip, motion, taken.result()


def _take(
    folder: Path,
    clip: PlannedClip,
    motion: Motion,
    painted: Portrait,
    camera: Camera,
    rng: np.random.Generator,
    layout: Layout,
) -> _Taken:
    """Write the frames of a clip."""
    peak = np.zeros((camera.height, camera.width), np.float32)
    for t, (frame, expression) in enumerate(film(motion, painted, camera, rng)):
        picture = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if layout.grey else frame
        write_picture(frame_file(folder, layout, clip, clip.onset + t), picture)
        np.maximum(peak, np.hypot(*expression), out=peak)
        if t == 0:
            onset = frame
        if t == motion.apex:
            apex, displacement = frame, expression
    return _Taken(onset, apex, displacement, peak)
