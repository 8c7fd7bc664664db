"""The camera: how a painted face becomes frames, with the noise and the flicker of real ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthetic.face import HALF_HEIGHT, Face, paint
from pipeline.synthetic.motion import Motion, expression_at, first_frame_positions

REFERENCE_SIZE = 192
"""Shorter side, in pixels, at which all motion and the moving threshold are given: the size the network sees."""

FRAMING = 0.02
"""Largest shift of a face from the centre of its frame, in face units, and largest deviation of its zoom from 1."""


@dataclass(frozen=True)
class Camera:
    """How frames are taken."""

    height: int
    """Rows of a frame."""
    width: int
    """Columns of a frame."""
    drift: float
    """Farthest that the head gets from where it was at the onset, pixels at the reference size."""
    rotation: float
    """Farthest that the head's turning in the picture plane moves the edge of the face, in the same pixels."""
    scale: float
    """Farthest that the head's coming closer or going away moves the edge of the face, in the same pixels."""
    noise: float
    """Standard deviation of the noise of every pixel, grey levels."""
    flicker: float
    """Standard deviation of the illumination from frame to frame, as a fraction."""

    @property
    def pixel(self) -> float:
        """Pixels per pixel of the reference size."""
        return min(self.height, self.width) / REFERENCE_SIZE

    @property
    def unit(self) -> float:
        """Pixels per face unit."""
        return min(self.width / 2, self.height / 2 / HALF_HEIGHT)

    @property
    def supersampling(self) -> int:
        """How much finer than a frame the face is painted; less in large frames, which would take a gigabyte."""
        return 3 if self.unit < 160 else 2


@dataclass(frozen=True)
class Portrait:
    """A subject's neutral face, ready to be photographed."""

    picture: np.ndarray
    """float32 (H, W, 3) BGR, supersampled, with a margin around the frame."""
    margin: int
    """Width of the margin, pixels of the frame."""


def portrait(face: Face, camera: Camera, amplitude: float) -> Portrait:
    """Paint a face with so much around it that no frame shows what was not painted.

    `amplitude` is the largest displacement by an expression, pixels at the reference size.
    """
    # A turn or a change of scale moves a corner of the frame farther than the edge of the face.
    corner = np.hypot(camera.height, camera.width) / (REFERENCE_SIZE * camera.pixel)
    farthest = camera.drift + (camera.rotation + camera.scale) * corner + 2 * amplitude
    reach = farthest * camera.pixel + 2 * FRAMING * max(camera.height, camera.width)
    margin = int(np.ceil(reach)) + 2
    k = camera.supersampling

    def axis(length: int) -> np.ndarray:
        position = (np.arange(k * (length + 2 * margin)) + 0.5) / k - margin - length / 2
        return (position / camera.unit).astype(np.float32)

    x, y = np.meshgrid(axis(camera.width), axis(camera.height))
    picture = paint(face, x, y)[..., ::-1]
    # The blur of a lens and of one pixel's area: frames can then be sampled from the picture point by point.
    picture = cv2.GaussianBlur(cv2.blur(picture, (k, k)), (0, 0), 0.4 * k)
    return Portrait(picture, margin)


def film(
    motion: Motion, portrait: Portrait, camera: Camera, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Take the frames of a clip.

    Yields
    ------
    Each frame, uint8 (H, W, 3) BGR, with the displacement by the expression alone, float32 (2, H, W) in pixels.
    """
    size = np.array([camera.width, camera.height], np.float32)
    offset = size / 2 + portrait.margin - ((size - 1) / 2 + motion.shift) / motion.zoom
    basis = motion.basis.astype(np.float32)
    position = None
    for profile, head in zip(motion.profile, motion.head, strict=True):
        expression = expression_at(basis, profile)
        position = first_frame_positions(expression, head, position)
        # From pixels of the first frame to pixels of the portrait, whose pixel centres are half a pixel off.
        column, row = camera.supersampling * (position / motion.zoom + offset[:, None, None]) - 0.5
        frame: np.ndarray = cv2.remap(portrait.picture, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frame *= 1 + camera.flicker * float(np.clip(rng.standard_normal(), -3, 3))
        frame += camera.noise * rng.standard_normal(frame.shape, dtype=np.float32)
        yield np.clip(np.rint(frame), 0, 255).astype(np.uint8), expression
