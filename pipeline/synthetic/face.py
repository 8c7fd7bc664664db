"""One subject's neutral face, drawn from nothing but a random generator.

A face is a height map (head, sockets, nose, cheeks, lips, chin) lit by one soft light, over an albedo of skin, lips,
brows, eyes and hair. Skin carries band-limited texture because optical flow needs something to hold on to.

All positions are in *face units*: the origin lies between the eyes and the nose tip, x grows to the picture's right, y
downwards, and half the width of the cropped picture is 1. Nothing here depends on the picture's size, so the same
generator gives the same face at any resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Field = np.ndarray  # float32 (H, W)
Point = tuple[float, float]

# Half the height of the picture in face units: frames of 280 x 240 px, the default, show hairline to chin.
HALF_HEIGHT = 7 / 6

# Skin albedo from fair to dark, RGB.
_SKIN = np.array([[243, 205, 182], [230, 184, 154], [205, 155, 124], [160, 112, 84], [112, 76, 58]], np.float32)
_HAIR = np.array([[24, 20, 20], [38, 28, 24], [66, 44, 30], [104, 72, 44], [150, 118, 80]], np.float32)
_IRIS = np.array([[52, 32, 20], [78, 50, 28], [96, 92, 56], [92, 116, 128]], np.float32)

# The lattice on which texture is drawn: fixed spacing in face units, so that texture belongs to the face.
_LATTICE_PER_UNIT = 256
_LATTICE_HALF = 2.0


@dataclass(frozen=True)
class Face:
    """Measurements of one subject in face units, RGB colours in 0..255, and the seed of its texture."""

    width: float  # half width at the cheekbones
    jaw: float  # how much the jaw narrows towards the chin, 0..1
    squareness: float  # exponent of the outline: 2 is an ellipse
    chin_y: float
    hairline_y: float
    temple: float  # how far down the hairline runs at the temples
    long_hair: bool
    fringe: float  # how far the fringe hangs into the forehead; 0 for none
    brow_y: float
    brow_tilt: float
    brow_thickness: float
    eye_x: float
    eye_y: float
    eye_width: float  # half width
    eye_opening: float
    eye_tilt: float
    eyelid_fold: float  # 0 single eyelid .. 1 deep fold
    nose_y: float  # base of the nose
    nose_width: float  # half width at the wings
    nose_bridge: float  # height of the bridge
    mouth_y: float
    mouth_width: float  # half width
    upper_lip: float
    lower_lip: float
    mouth_curve: float  # corners up (> 0) or down
    fold: float  # depth of the nasolabial fold
    cheek: float
    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    background: tuple[float, float, float]
    light: tuple[float, float, float]  # direction to the light
    ambient: float
    gradient: tuple[float, float]  # relative change of illumination per face unit, along x and y
    texture: float  # relative strength of skin texture
    freckles: int
    stubble: float
    texture_seed: int


def draw_subject(rng: np.random.Generator) -> Face:
    """Draw one subject's measurements."""
    u = rng.uniform
    tone = float(np.clip(rng.beta(1.6, 2.2), 0, 1))
    skin = _between(_SKIN, tone) * np.array([1, u(0.97, 1.03), u(0.95, 1.05)])
    # Dark skin goes with dark hair and eyes; fair skin with any.
    lightness = rng.beta(1.2, 2.5) * (1 - tone) ** 1.5
    redness = u(0.55, 0.85)
    lips = skin * (1 - redness) + redness * skin * np.array([0.86, 0.58, 0.60])
    side = rng.choice((-1.0, 1.0))
    grey = u(70, 150)
    long_hair = bool(rng.random() < 0.45)
    return Face(
        width=u(0.77, 0.84),
        jaw=u(0.10, 0.26),
        squareness=u(2.15, 2.55),
        chin_y=u(1.02, 1.09),
        hairline_y=u(-0.98, -0.86),
        temple=u(0.25, 0.5),
        long_hair=long_hair,
        fringe=float(rng.choice((0.0, 0.0, 1.0)) * u(0.08, 0.2)),
        brow_y=u(-0.37, -0.31),
        brow_tilt=u(-0.035, 0.012),
        brow_thickness=u(0.028, 0.046),
        eye_x=u(0.315, 0.35),
        eye_y=u(-0.13, -0.09),
        eye_width=u(0.150, 0.178),
        eye_opening=u(0.058, 0.080),
        eye_tilt=u(-0.02, 0.09),
        eyelid_fold=u(0.15, 1.0),
        nose_y=u(0.34, 0.40),
        nose_width=u(0.155, 0.205),
        nose_bridge=u(0.75, 1.15),
        mouth_y=u(0.61, 0.66),
        mouth_width=u(0.25, 0.32),
        upper_lip=u(0.050, 0.074),
        lower_lip=u(0.068, 0.096),
        mouth_curve=u(-0.018, 0.016),
        fold=u(0.4, 1.2),
        cheek=u(0.6, 1.2),
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(_between(_HAIR, lightness)),
        iris=_colour(_between(_IRIS, lightness * 1.2)),
        background=(float(grey * u(0.9, 1.1)), float(grey * 1.0), float(grey * u(0.9, 1.15))),
        light=(float(side * u(0.1, 0.5)), u(-0.65, -0.35), u(0.85, 1.0)),
        ambient=u(0.36, 0.5),
        gradient=(u(-0.08, 0.08), u(-0.06, 0.04)),
        texture=u(0.8, 1.3),
        freckles=int(rng.integers(8, 70)),
        stubble=float(not long_hair) * u(0.0, 0.7),
        texture_seed=int(rng.integers(2**63)),
    )


def landmarks(face: Face) -> dict[str, Point]:
    """Anchor points in face units; `_left` and `_right` are meant as seen in the picture, so that left is x < 0."""
    points: dict[str, Point] = {
        "glabella": (0.0, face.brow_y + 0.02),
        "nose_root": (0.0, face.eye_y + 0.03),
        "nose_tip": (0.0, face.nose_y - 0.09),
        "lip_top": (0.0, face.mouth_y - face.upper_lip * 0.7),
        "lip_bottom": (0.0, face.mouth_y + face.lower_lip * 0.7),
        "chin": (0.0, (face.mouth_y + face.lower_lip + face.chin_y) / 2 + 0.03),
    }
    for name, side in (("left", -1.0), ("right", 1.0)):
        eye_x = side * face.eye_x
        paired = {
            "brow_inner": (side * (face.eye_x - 0.16), _brow_y(face, -0.8)),
            "brow_middle": (side * (face.eye_x + 0.03), _brow_y(face, 0.15)),
            "brow_outer": (side * (face.eye_x + 0.18), _brow_y(face, 0.9)),
            "lid_upper": (eye_x, face.eye_y - face.eye_opening * 0.9),
            "lid_lower": (eye_x, face.eye_y + face.eye_opening * 0.8),
            "eye_outer": (side * (face.eye_x + face.eye_width), face.eye_y - face.eye_tilt * face.eye_width),
            "nose_side": (side * face.nose_width * 0.6, (face.eye_y + face.nose_y) / 2),
            "nose_wing": (side * face.nose_width, face.nose_y - 0.05),
            "cheek": (side * (face.eye_x + 0.10), face.nose_y - 0.16),
            "lip_upper": (side * face.mouth_width * 0.45, face.mouth_y - face.upper_lip),
            "mouth_corner": (side * face.mouth_width, face.mouth_y - face.mouth_curve),
            "mouth_side": (side * (face.mouth_width + 0.12), face.mouth_y),
        }
        points.update({f"{key}_{name}": (float(px), float(py)) for key, (px, py) in paired.items()})
    return points


def paint(face: Face, x: Field, y: Field) -> np.ndarray:
    """Paint the neutral face.

    Parameters
    ----------
    x, y : float32 (H, W)
        Face units of each pixel; a regular grid with equal spacing along both axes.

    Returns
    -------
    float32 (H, W, 3), RGB in 0..255, without camera noise.
    """
    rng = np.random.Generator(np.random.Philox(face.texture_seed))
    unit = 1.0 / float(x[0, 1] - x[0, 0])  # pixels per face unit
    texture = _skin_texture(rng, x, y)
    strands = _lattice_noise(rng, 0.006, 0.06, x, y)
    locks = _lattice_noise(rng, 0.035, 0.12, x, y)
    shape = _Shapes(face, x, y)

    relief = _relief(face, shape, x, y)
    skin = _skin_albedo(face, shape, x, y, texture, rng)
    lit, specular = _light(face, relief, unit, shape.head)
    picture = _shade(skin, lit) + specular[..., None]
    picture = _paint_brows(face, picture, x, y, unit, rng)
    picture = _paint_eyes(face, picture, x, y)
    picture = _paint_nostrils_and_lip_line(face, shape, picture, x, y)

    behind = _behind(face, shape, x, y, texture)
    picture = _over(behind, picture, shape.head)
    picture = _paint_hair(face, shape, picture, x, y, strands, locks)
    picture *= (1 + face.gradient[0] * x + face.gradient[1] * y)[..., None]
    colours: Field = np.clip(picture, 0, 255).astype(np.float32)
    return colours


class _Shapes:
    """Soft masks of the parts that several painting steps share."""

    def __init__(self, face: Face, x: Field, y: Field) -> None:
        self.radius = _head_radius(face, x, y)  # 1 on the outline
        self.head = _step(1.012, 0.988, self.radius)
        u = x / face.mouth_width
        inside = np.clip(1 - u * u, 0, 1)
        bow = 1 - 0.30 * np.exp(-((u / 0.17) ** 2)) - 0.12 * np.abs(u)
        self.mouth_u = u
        self.parting = face.mouth_y + _parting(face, u)
        self.lip_top = self.parting - face.upper_lip * inside**0.75 * bow * 1.12
        self.lip_bottom = self.parting + face.lower_lip * inside**0.62
        soft = 0.010
        self.upper_lip = _step(-soft, soft, np.minimum(y - self.lip_top, self.parting - y)) * (inside > 0)
        self.lower_lip = _step(-soft, soft, np.minimum(y - self.parting, self.lip_bottom - y)) * (inside > 0)
        self.lips = np.clip(self.upper_lip + self.lower_lip, 0, 1) * _step(1.0, 0.86, np.abs(u))


def _parting(face: Face, u: Field) -> Field:
    """Height of the line between the lips over the mouth, relative to the mouth's centre."""
    corner = -face.mouth_curve * np.clip(np.abs(u), 0, 1.2) ** 2
    field: Field = corner + 0.007 * np.exp(-((u / 0.2) ** 2)) - 0.005 * np.exp(-(((np.abs(u) - 0.4) / 0.2) ** 2))
    return field


def _head_radius(face: Face, x: Field, y: Field) -> Field:
    top, bottom = 1.5, face.chin_y - 0.02
    narrowing = 1 - face.jaw * _step(0.25, 1.15, y)
    height = np.where(y < 0, y / top, y / bottom)
    n = face.squareness
    field: Field = ((np.abs(x) / (face.width * narrowing)) ** n + np.abs(height) ** n) ** (1 / n)
    return field


def _brow_y(face: Face, along: float | Field) -> float | Field:
    """Centre line of a brow; ``along`` runs from -1 (inner end) to 1 (outer end)."""
    return face.brow_y - 0.035 + 0.030 * (along - 0.25) ** 2 - face.brow_tilt * along


def _relief(face: Face, shape: _Shapes, x: Field, y: Field) -> Field:
    """Height towards the viewer, face units."""
    side = np.abs(x)
    z = 0.66 * np.clip(1 - shape.radius**2.6, 0, None) ** 0.6
    z += 0.030 * _bump(side, y, face.eye_x - 0.02, face.brow_y + 0.03, 0.24, 0.07)  # brow ridge
    z -= 0.085 * _bump(side, y, face.eye_x - 0.03, face.eye_y - 0.01, 0.17, 0.105)  # sockets
    z -= 0.030 * _bump(side, y, 0.16, face.eye_y - 0.02, 0.06, 0.09)  # inner corners, beside the bridge
    z += 0.060 * _bump(side, y, face.eye_x, face.eye_y, 0.13, 0.085)  # eyeballs
    z += 0.050 * face.cheek * _bump(side, y, face.eye_x + 0.12, face.nose_y - 0.17, 0.19, 0.15)
    z += 0.030 * _bump(x, y, 0, face.brow_y - 0.28, 0.4, 0.2)  # forehead

    start, tip = face.eye_y - 0.10, face.nose_y - 0.08
    along = np.clip((y - start) / (tip - start), 0, 1.0)
    height = face.nose_bridge * (0.055 + 0.135 * along**1.3)
    ridge = 0.062 + 0.045 * along
    below = _step(face.nose_y + 0.015, face.nose_y - 0.075, y)
    above = _step(start - 0.16, start + 0.10, y)
    z += height * np.exp(-0.5 * (x / ridge) ** 2) * below * above
    z += 0.060 * _bump(x, y, 0, face.nose_y - 0.085, 0.075, 0.065)  # tip
    z += 0.060 * _bump(side, y, face.nose_width - 0.055, face.nose_y - 0.055, 0.048, 0.050)  # wings
    z -= 0.022 * _bump(side, y, face.nose_width + 0.012, face.nose_y - 0.045, 0.022, 0.05)  # crease beside the wing

    z += 0.050 * _bump(x, y, 0, face.mouth_y - 0.02, 0.27, 0.15)  # teeth behind the lips
    z -= 0.012 * _bump(x, y, 0, (face.nose_y + face.mouth_y) / 2 - 0.02, 0.026, 0.06)  # philtrum
    z += 0.022 * _lip_roll(y, shape.lip_top, shape.parting) * shape.lips
    z += 0.034 * _lip_roll(y, shape.parting, shape.lip_bottom) * shape.lips
    z -= 0.020 * _bump(side, y, face.mouth_width + 0.02, face.mouth_y, 0.035, 0.04)  # corners
    z -= 0.040 * _bump(x, y, 0, face.mouth_y + face.lower_lip + 0.055, 0.17, 0.045)  # below the lower lip
    z += 0.055 * _bump(x, y, 0, face.chin_y - 0.13, 0.17, 0.09)  # chin
    z -= 0.018 * face.fold * _nasolabial(face, side, y)
    return z.astype(np.float32)


def _nasolabial(face: Face, side: Field, y: Field) -> Field:
    """The fold from the nose wing to beside the mouth, 0..1; sharp towards the nose, soft towards the cheek."""
    begin, end = face.nose_y - 0.08, face.mouth_y + 0.06
    along = np.clip((y - begin) / (end - begin), 0, 1)
    centre = face.nose_width + 0.035 + (face.mouth_width + 0.09 - face.nose_width) * along**1.2
    away = side - centre
    width = np.where(away < 0, 0.028, 0.055)
    field: Field = (
        np.exp(-0.5 * (away / width) ** 2) * _step(begin - 0.03, begin + 0.08, y) * _step(end + 0.06, end - 0.16, y)
    )
    return field


def _lip_roll(y: Field, top: Field, bottom: Field) -> Field:
    along = np.clip((y - top) / np.maximum(bottom - top, 1e-3), 0, 1)
    field: Field = np.sqrt(np.clip(along * (1 - along), 0, None)) * 2
    return field


def _skin_texture(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Relative change of albedo: four octaves, from pores to blotches. Standard deviation about 0.04."""
    octaves = ((0.007, 0.020), (0.013, 0.022), (0.03, 0.014), (0.10, 0.016))
    field: Field = np.zeros(1, np.float32)
    for scale, strength in octaves:
        field = field + strength * _lattice_noise(rng, scale, scale, x, y)
    return field


def _skin_albedo(
    face: Face, shape: _Shapes, x: Field, y: Field, texture: Field, rng: np.random.Generator
) -> np.ndarray:
    side = np.abs(x)
    skin = np.empty((*x.shape, 3), np.float32)
    skin[:] = face.skin
    blush = 0.6 * _bump(side, y, face.eye_x + 0.11, face.nose_y - 0.13, 0.17, 0.13)
    blush += 0.7 * _bump(x, y, 0, face.nose_y - 0.07, 0.10, 0.09) + 0.3 * _bump(x, y, 0, face.chin_y - 0.1, 0.15, 0.08)
    skin *= 1 - blush[..., None] * np.array([0.01, 0.10, 0.085], np.float32)
    tired = _bump(side, y, face.eye_x - 0.04, face.eye_y + 0.09, 0.12, 0.045)
    tired += 0.8 * _bump(side, y, face.eye_x - 0.10, face.eye_y - 0.01, 0.09, 0.08)
    skin *= 1 - 0.6 * tired[..., None] * np.array([0.11, 0.15, 0.11], np.float32)
    if face.stubble:
        beard = _step(0.60, 0.95, shape.radius) * _step(0.30, 0.62, y) + _bump(x, y, 0, face.mouth_y - 0.12, 0.24, 0.06)
        beard += _bump(x, y, 0, face.chin_y - 0.12, 0.25, 0.14)
        beard = np.clip(beard, 0, 1) * (1 + 4 * texture)
        skin *= 1 - 0.34 * face.stubble * beard[..., None] * np.array([1.0, 0.9, 0.8], np.float32)
    skin *= (1 + face.texture * texture)[..., None]
    skin *= 1 - _freckles(face, x, y, rng)[..., None] * np.array([0.5, 0.75, 0.9], np.float32)
    creases = 1 + 1.5 * texture + 0.05 * np.sin(shape.mouth_u * 60)
    lips = np.asarray(face.lips, np.float32) * creases[..., None]
    lips = lips * (1 - 0.16 * shape.upper_lip[..., None])
    return _over(skin, lips, shape.lips * 0.92)


def _freckles(face: Face, x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Freckles and a few moles: how much they darken the skin, 0..1."""
    spots = np.zeros_like(x)
    unit = 1.0 / float(x[0, 1] - x[0, 0])
    for index in range(face.freckles):
        mole = index < 3
        cx, cy = rng.uniform(-0.7, 0.7), rng.uniform(-0.75, 1.0)
        size, depth = (rng.uniform(0.010, 0.017), 0.5) if mole else (rng.uniform(0.006, 0.012), rng.uniform(0.06, 0.22))
        column, row = (cx - x[0, 0]) * unit, (cy - y[0, 0]) * unit
        reach = int(4 * size * unit) + 1
        rows = slice(max(int(row) - reach, 0), max(int(row) + reach + 1, 0))
        columns = slice(max(int(column) - reach, 0), max(int(column) + reach + 1, 0))
        spots[rows, columns] += depth * _bump(x[rows, columns], y[rows, columns], cx, cy, size, size)
    field: Field = np.clip(spots, 0, 0.6)
    return field


def _light(face: Face, relief: Field, unit: float, head: Field) -> tuple[Field, Field]:
    """Diffuse light on the skin (about 1 when facing the light) and the shine on top of it."""
    relief = cv2.GaussianBlur(relief, (0, 0), 0.008 * unit)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3) * (unit / 8)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3) * (unit / 8)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    light = np.asarray(face.light, np.float32)
    light = light / np.linalg.norm(light)
    facing = (-slope_x * light[0] - slope_y * light[1] + light[2]) / length
    fill = (slope_x * light[0] - 0.3 * slope_y + 0.8) / length  # weak light from the other side
    # Light scatters under skin: it wraps around the terminator instead of stopping there.
    diffuse = np.clip((facing + 0.3) / 1.3, 0, None)
    cavity = relief - cv2.GaussianBlur(relief, (0, 0), 0.06 * unit)
    lit = face.ambient + (1.0 - face.ambient) * diffuse + 0.10 * np.clip(fill, 0, None) - 0.05
    lit *= np.clip(1 + 5.0 * np.minimum(cavity, 0) + 1.5 * np.maximum(cavity, 0), 0.5, 1.15)
    halfway = light + np.array([0, 0, 1], np.float32)
    halfway /= np.linalg.norm(halfway)
    shine = np.clip((-slope_x * halfway[0] - slope_y * halfway[1] + halfway[2]) / length, 0, 1)
    specular = (26 * shine**60 + 12 * shine**12) * head
    return cv2.GaussianBlur(lit, (0, 0), 0.006 * unit), cv2.GaussianBlur(specular, (0, 0), 0.01 * unit)


def _shade(albedo: np.ndarray, lit: Field) -> np.ndarray:
    # Blue and green fade faster than red towards the shadow, as they do in skin.
    lit = np.clip(lit, 0.02, None)
    return albedo * np.stack([lit**0.92, lit**1.08, lit**1.16], axis=-1) * 0.97


def _paint_brows(
    face: Face, picture: np.ndarray, x: Field, y: Field, unit: float, rng: np.random.Generator
) -> np.ndarray:
    hairs = np.zeros(x.shape, np.uint8)
    base = np.zeros_like(x)
    for side in (-1, 1):
        along = (side * x - (face.eye_x + 0.01)) / 0.185
        thickness = face.brow_thickness * (1 - 0.62 * _step(0.1, 1.05, along)) * _step(-1.25, -0.6, along)
        distance = np.abs(y - _brow_y(face, along)) / np.maximum(thickness, 1e-3)
        base += _step(1.45, 0.2, distance) * _step(1.12, 0.8, np.abs(along))
        for _ in range(170):
            t = rng.uniform(-1.05, 1.0)
            spread = face.brow_thickness * (1 - 0.62 * np.clip((t - 0.1) / 0.95, 0, 1))
            root = (side * (face.eye_x + 0.01 + 0.185 * t), _brow_y(face, t) + rng.normal(0, 0.5) * spread)
            angle = np.deg2rad(rng.normal(-62 + 52 * np.clip((t + 1.1) / 1.3, 0, 1), 9))
            length = rng.uniform(0.035, 0.07)
            tip = (root[0] + side * length * np.cos(angle), root[1] + length * np.sin(angle))
            ends = [(round((px - x[0, 0]) * unit * 16), round((py - y[0, 0]) * unit * 16)) for px, py in (root, tip)]
            cv2.line(hairs, ends[0], ends[1], 255, max(1, round(0.005 * unit)), cv2.LINE_AA, shift=4)
    cover = 0.62 * np.clip(base, 0, 1) + 0.42 * cv2.GaussianBlur(hairs.astype(np.float32) / 255, (0, 0), 0.003 * unit)
    colour = 0.8 * np.asarray(face.hair, np.float32) + 0.1 * np.asarray(face.skin, np.float32)
    return _over(picture, np.broadcast_to(colour, picture.shape), np.clip(cover, 0, 0.92))


def _paint_eyes(face: Face, picture: np.ndarray, x: Field, y: Field) -> np.ndarray:
    skin = np.asarray(face.skin, np.float32)
    iris_colour = np.asarray(face.iris, np.float32)
    for side in (-1, 1):
        u = (side * x - face.eye_x) / face.eye_width  # -1 inner corner .. 1 outer corner
        inside = np.clip(1 - u * u, 0, 1)
        v = y - face.eye_y + face.eye_tilt * face.eye_width * u
        upper = -face.eye_opening * inside**0.62 * (1 - 0.10 * u)
        lower = face.eye_opening * 0.72 * inside**0.75 * (1 + 0.14 * u)
        opening = _step(-0.008, 0.008, np.minimum(v - upper, lower - v)) * (inside > 0)

        crease = upper - 0.035 - 0.012 * face.eyelid_fold
        fold = np.exp(-0.5 * ((v - crease) / 0.008) ** 2) * _step(1.12, 0.7, np.abs(u - 0.06))
        lid = _step(crease - 0.01, crease + 0.02, v) * _step(upper + 0.02, upper, v) * _step(1.15, 0.8, np.abs(u))
        picture = picture * (1 - (0.42 * face.eyelid_fold * fold + 0.06 * lid)[..., None])
        bag = np.exp(-0.5 * ((v - lower - 0.055) / 0.012) ** 2) * _step(1.0, 0.5, np.abs(u))
        picture = picture * (1 - 0.10 * bag[..., None])

        px, py = x - side * face.eye_x * 0.995, v + 0.006
        distance = np.sqrt(px * px + py * py)
        radius = face.eye_opening * 1.12
        ball = np.array([226, 218, 212], np.float32) * (0.92 - 0.16 * u * u)[..., None]
        ball = ball * (1 - 0.10 * _step(0.4, 1.0, np.abs(u))[..., None] * np.array([0.1, 1, 1], np.float32))
        spokes = 1 + 0.16 * np.sin(np.arctan2(py, px) * 23 + 5 * np.sin(np.arctan2(py, px) * 7))
        glow = 0.75 + 0.7 * np.clip((py + 0.2 * radius) / radius, 0, 1)
        iris = iris_colour * (spokes * glow * (1 - 0.55 * _step(0.72, 1.0, distance / radius)))[..., None]
        ball = _over(ball, iris, _step(radius * 1.07, radius * 0.95, distance))
        ball = _over(ball, np.full_like(ball, 10), _step(radius * 0.50, radius * 0.38, distance))
        ball = ball * (1 - 0.55 * _step(upper + 0.035, upper - 0.002, v)[..., None])  # shadow of the upper lid
        glint_x, glint_y = np.sign(face.light[0]) * radius * 0.32, -radius * 0.36
        glint = _step(radius * 0.26, radius * 0.12, np.hypot(px - glint_x, py - glint_y))
        ball = _over(ball, np.full_like(ball, 245), 0.9 * glint)
        caruncle = _bump(u, v, -0.93, 0.004, 0.09, 0.016)
        ball = _over(ball, np.broadcast_to(skin * np.array([0.86, 0.6, 0.58], np.float32), ball.shape), caruncle)
        picture = _over(picture, ball, opening)

        rim = np.exp(-0.5 * ((v - lower - 0.004) / 0.006) ** 2) * _step(1.0, 0.85, np.abs(u))
        picture = _over(
            picture, np.broadcast_to(skin * np.array([0.88, 0.68, 0.64], np.float32), ball.shape), 0.45 * rim
        )
        lash = np.exp(-0.5 * ((v - upper + 0.002) / (0.0075 + 0.003 * np.clip(u, 0, 1))) ** 2)
        lash = lash * _step(1.08, 0.92, np.abs(u))
        lower_lash = (
            0.35 * np.exp(-0.5 * ((v - lower - 0.006) / 0.005) ** 2) * _step(-0.3, 0.6, u) * _step(1.03, 0.9, u)
        )
        dark = np.array([26, 18, 16], np.float32)
        picture = _over(picture, np.broadcast_to(dark, ball.shape), np.clip(0.9 * lash + lower_lash, 0, 0.95))
    return picture


def _paint_nostrils_and_lip_line(face: Face, shape: _Shapes, picture: np.ndarray, x: Field, y: Field) -> np.ndarray:
    side = np.abs(x)
    hole_x, hole_y = face.nose_width * 0.50, face.nose_y - 0.012
    tilt = y - hole_y + 0.25 * (side - hole_x)
    nostril = _step(1.25, 0.45, np.hypot((side - hole_x) / 0.046, tilt / 0.019))
    under = _bump(x, y, 0, face.nose_y + 0.022, face.nose_width * 0.85, 0.022)
    wing = _bump(side, y, face.nose_width + 0.004, face.nose_y - 0.03, 0.014, 0.042)
    line = np.exp(-0.5 * ((y - shape.parting) / 0.0075) ** 2) * _step(1.06, 0.82, np.abs(shape.mouth_u))
    corner = _bump(side, y, face.mouth_width, face.mouth_y - face.mouth_curve, 0.022, 0.013)
    shadow = _bump(x, y, 0, face.mouth_y + face.lower_lip + 0.02, face.mouth_width * 0.5, 0.016)
    fold = _nasolabial(face, side, y)
    dark = np.array([0.80, 0.92, 0.95], np.float32)
    depth = 0.85 * nostril + 0.30 * under + 0.34 * wing + 0.72 * line + 0.45 * corner + 0.20 * shadow
    depth = depth + 0.07 * face.fold * fold
    colours: Field = picture * (1 - np.clip(depth, 0, 0.9)[..., None] * dark)
    return colours


def _behind(face: Face, shape: _Shapes, x: Field, y: Field, texture: Field) -> np.ndarray:
    """Background, neck and ears: what the head covers."""
    picture = np.empty((*x.shape, 3), np.float32)
    picture[:] = face.background
    picture *= (1 + 0.6 * texture - 0.08 * y)[..., None]
    skin = np.asarray(face.skin, np.float32) * (1 + face.texture * texture)[..., None]
    half = face.width * 0.70
    neck = _step(half + 0.02, half - 0.02, np.abs(x) - 0.25 * np.clip(y - 0.95, 0, 1) ** 2) * _step(0.3, 0.5, y)
    shade = 0.62 - 0.30 * (x / half) ** 2 * 0.8 - 0.22 * _bump(x, y, 0, face.chin_y, 0.45, 0.12)
    picture = _over(picture, _shade(skin, shade), neck)
    ear_x, ear_y = face.width + 0.045, 0.02
    side = np.abs(x)
    radius = np.hypot((side - ear_x + 0.10 * (y - ear_y)) / 0.085, (y - ear_y) / 0.23)
    rim = 0.75 - 0.30 * np.exp(-0.5 * ((radius - 0.62) / 0.14) ** 2) + 0.10 * np.exp(-0.5 * ((radius - 0.9) / 0.1) ** 2)
    return _over(picture, _shade(skin * np.array([1, 0.9, 0.88], np.float32), rim), _step(1.06, 0.94, radius))


def _paint_hair(
    face: Face, shape: _Shapes, picture: np.ndarray, x: Field, y: Field, strands: Field, locks: Field
) -> np.ndarray:
    side = np.abs(x)
    arch = face.hairline_y + face.temple * np.clip(side / face.width - 0.25, 0, 2) ** 2.2
    if face.fringe:
        arch = arch + face.fringe * _step(0.75, 0.3, side)
    jagged = 0.008 * strands + 0.016 * locks
    cap = _step(0.06, -0.07, y - arch + jagged)
    # Hair also frames the head: sideburns for short hair, down past the jaw for long hair.
    end = 1.6 if face.long_hair else -0.02
    inner = (0.955 if face.long_hair else 0.965) + 0.02 * locks
    frame = _step(inner - 0.03, inner + 0.03, shape.radius) * _step(end + 0.1, end - 0.15, y)
    if face.long_hair:  # it falls beside the neck, not under the chin
        frame = frame * _step(0.78, 0.93, side / face.width + 0.02 * locks + 0.12 * _step(0.3, -0.3, y))
    outer = 1.33 if face.long_hair else 1.04
    outline = _head_radius(face, x / outer, np.minimum(y, 0.0))
    inside = _step(1.02 + 0.03, 1.02 - 0.03, outline + 0.02 * locks)
    cover = np.clip(cap + frame, 0, 1) * inside
    sheen = 0.85 + 0.22 * strands + 0.20 * locks + 0.35 * np.exp(-0.5 * ((y + 1.02) / 0.10) ** 2)
    sheen = sheen * (1 - 0.35 * _step(0.85, 1.15, shape.radius))
    hair = np.asarray(face.hair, np.float32) * np.clip(sheen, 0.25, 1.9)[..., None]
    shadow = _step(0.10, -0.02, y - arch + jagged) * (1 - cap)
    picture = picture * (1 - 0.28 * (shadow * shape.head)[..., None])
    return _over(picture, hair, cover)


def _colour(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _between(table: np.ndarray, position: float) -> np.ndarray:
    """Linear interpolation in a table of colours; position 0..1."""
    at = np.clip(position, 0, 1) * (len(table) - 1)
    return np.array([np.interp(at, np.arange(len(table)), table[:, c]) for c in range(table.shape[1])])


def _step(low: float | Field, high: float | Field, value: Field) -> Field:
    """Smooth step from 0 at ``low`` to 1 at ``high`` (which may be the smaller of the two)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    field: Field = t * t * (3 - 2 * t)
    return field


def _bump(x: Field, y: Field, cx: float, cy: float, sx: float, sy: float) -> Field:
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))


def _over(below: np.ndarray, above: np.ndarray, cover: Field) -> np.ndarray:
    colours: Field = below + (above - below) * cover[..., None]
    return colours


def _lattice_noise(rng: np.random.Generator, sx: float, sy: float, x: Field, y: Field) -> Field:
    """Gaussian noise of unit variance, smoothed to sx by sy face units, at the points (x, y)."""
    side = int(2 * _LATTICE_HALF * _LATTICE_PER_UNIT)
    noise: Field = rng.standard_normal((side, side), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sx * _LATTICE_PER_UNIT, sigmaY=sy * _LATTICE_PER_UNIT)
    noise = noise / noise.std()
    columns, rows = (x + _LATTICE_HALF) * _LATTICE_PER_UNIT, (y + _LATTICE_HALF) * _LATTICE_PER_UNIT
    return cv2.remap(noise, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
