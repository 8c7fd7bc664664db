"""An expression as a subject shows it in one clip: its action units, when they move how far, the motion of the head."""

import numpy as np

from pipeline.synthetic.action_units import draw_expression, time_course, unit_displacement
from pipeline.synthetic.camera import FRAMING, REFERENCE_SIZE, Camera
from pipeline.synthetic.face import Face, landmarks
from pipeline.synthetic.motion import Motion


def draw_motion(
    label: str,
    n_frames: int,
    face: Face,
    amplitude: tuple[float, float],
    camera: Camera,
    rng: np.random.Generator,
    head_rng: np.random.Generator,
) -> Motion:
    """Draw the motion of one clip.

    Parameters
    ----------
    label
        Class of the expression, a key of `action_units.COMBINATIONS`.
    n_frames
        Length of the clip, at least 3.
    face
        The subject's.
    amplitude
        Smallest and largest peak displacement by the strongest action unit, pixels at the reference size.
    camera
        What films it: the size of the frames and how far the head may move.
    rng
        Source of everything that is drawn, but for the head's turns and changes of scale.
    head_rng
        Source of these: what they are changes nothing else.
    """
    zoom = 1 + rng.uniform(-FRAMING, FRAMING)
    shift = (rng.uniform(-FRAMING, FRAMING, 2) * camera.unit).astype(np.float32)
    scale = camera.unit * zoom
    centre = (camera.width - 1) / 2 + shift[0], (camera.height - 1) / 2 + shift[1]
    points = {name: (centre[0] + scale * x, centre[1] + scale * y) for name, (x, y) in landmarks(face).items()}

    drawn = draw_expression(label, rng)
    units = tuple(drawn)
    sides = [(1 + a, 1 - a) for a in rng.uniform(-0.15, 0.15, len(units))]
    basis = [
        unit_displacement(unit, points, scale, both, camera.height, camera.width)
        for unit, both in zip(units, sides, strict=True)
    ]
    peak_px = rng.uniform(*amplitude) * camera.pixel
    last = n_frames - 1
    apex = rng.uniform(0.3, 0.6) * last
    residue = rng.uniform(0, 0.3)
    courses = []
    for delay in rng.uniform(0, 0.12, len(units)):
        peak = float(np.clip(apex * (1 + delay), 1, last - 1))
        courses.append(time_course(n_frames, delay * peak, peak, residue))
    relative = np.stack(courses, axis=1) * np.array(list(drawn.values()), np.float32)
    return Motion(
        units=units,
        basis=np.stack(basis),
        profile=(relative * peak_px).astype(np.float32),
        head=_head(_draw_path(n_frames, 2, camera.drift, camera, rng), centre, camera, head_rng),
        shift=shift,
        zoom=zoom,
        apex=int(relative.sum(1).argmax()),
    )


def _head(drift: np.ndarray, centre: tuple[float, float], camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """The affine map of the head in each frame: float32 (n_frames, 2, 3), pixels; the identity in the first.

    It turns and resizes the face about its `centre` (x, y) by smooth random amounts, and shifts it by `drift`.
    """
    edge = REFERENCE_SIZE / 2 * camera.pixel  # of the face, from its centre
    turn = _draw_path(len(drift), 1, camera.rotation, camera, rng)[:, 0] / edge  # radians
    growth = _draw_path(len(drift), 1, camera.scale, camera, rng)[:, 0] / edge
    linear = (1 + growth) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])  # (2, 2, n_frames)
    shift = drift + (centre - np.einsum("rcn,c->nr", linear, centre))
    return np.concatenate([linear.transpose(2, 0, 1), shift[:, :, None]], axis=2).astype(np.float32)


def _draw_path(n_frames: int, dimensions: int, farthest: float, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A smooth path from 0, (n_frames, dimensions) in pixels, at most `farthest` pixels of the reference size away."""
    t = np.linspace(0, 1, n_frames)[:, None]
    path = np.zeros((n_frames, dimensions))
    for turns in (0.5, 1.0, 1.5):
        phase = rng.uniform(0, 2 * np.pi, dimensions)
        path += rng.normal(0, 1 / turns, dimensions) * (np.sin(2 * np.pi * turns * t + phase) - np.sin(phase))
    extent = rng.uniform(0.4, 1.0) * farthest * camera.pixel
    drawn: np.ndarray = path * extent / np.abs(np.hypot.reduce(path, axis=1)).max()
    return drawn
