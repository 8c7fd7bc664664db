"""The embedded dataset: procedural faces with known motion, written as a tree of CASME, CASME II or SMIC.

`write_tree` makes what the owners ship (for CASME II `Cropped/sub01/EP02_01f/reg_img46.jpg` and an annotation
spreadsheet) plus `truth.h5`, the motion behind every frame, and `contact_sheet.png`, one glance at all of it.

Truth, per clip: the point that is at x in the first frame is at x + d_t(x) in frame t, with
d_t(x) = sum over a of profile[t, a] * basis[a](x), plus drift[t]. Channels are (u right, v down), in pixels; frames are
counted from the onset.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
from openpyxl import Workbook

from pipeline.databases.layouts import LAYOUTS, Layout
from pipeline.synthetic.action_units import draw_expression, time_course, unit_displacement
from pipeline.synthetic.face import HALF_HEIGHT, Face, draw_subject, landmarks, paint

CLASSES = LAYOUTS["casme2"].classes

TRUTH = "truth.h5"
CONTACT_SHEET = "contact_sheet.png"

# The shorter side at which amplitude, drift and the moving threshold are given: the size the network sees.
REFERENCE_SIZE = 192

# Largest amplitude, px at the reference size, at which no combination of action units folds the skin over itself.
MAX_AMPLITUDE = 4.0

# A point moves if the expression (not the drift) ever takes it farther than this, px at the reference size.
MOVING_THRESHOLD = 0.25

_JPEG_QUALITY = 96
_FRAMING = 0.02  # how far a crop may be off, in face units, and 1 - its zoom

# First word of each kind of random stream; the second is the subject.
_PLAN, _SUBJECT, _CLIP = range(3)

# Zip archives cannot date back farther; any fixed date will do.
_EPOCH = (1980, 1, 1, 0, 0, 0)


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
        Not negative.
    subjects, clips
        How many; at least one clip per subject and per class.
    height, width
        Of a frame in pixels, at least 64 each.
    frames
        Shortest and longest clip, in frames; at least 3.
    amplitude
        Smallest and largest peak displacement of an expression's strongest action unit, in pixels of a picture whose
        shorter side is 192; up to `MAX_AMPLITUDE`.
    drift
        Farthest that the head gets from where it was at the onset, in the same pixels.
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
    style = LAYOUTS[layout]
    least = max(subjects, len(style.classes))
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
    _require(0 <= noise <= 64, "noise", noise, "0 to 64")
    _require(0 <= flicker <= 0.3, "flicker", flicker, "0 to 0.3")
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected an empty folder, found {next(folder.iterdir()).name} in it")
    camera = Camera(height=height, width=width, drift=drift, noise=noise, flicker=flicker)
    return _write(folder, seed, _plan(seed, subjects, clips, frames, style), amplitude, camera, style)


def true_flow(basis: np.ndarray, profile: np.ndarray, drift: np.ndarray, i: int, j: int) -> np.ndarray:
    """Flow from frame i to frame j, on frame i's pixel grid.

    Parameters
    ----------
    basis : (A, 2, H, W)
    profile : (n_frames, A)
    drift : (n_frames, 2)
        One clip's group of `truth.h5`.
    i, j
        Frames, counted from the onset.

    Returns
    -------
    float32 (2, H, W): u right, v down, pixels.
    """
    here, there = _expression(basis, profile[i]), _expression(basis, profile[j])
    origin = first_frame_positions(here, drift[i])
    grid = _grid(*here.shape[1:])
    moved = origin + _sample(there, origin) + np.asarray(drift[j], np.float32)[:, None, None]
    return moved - grid


def first_frame_positions(
    expression: np.ndarray, drift: np.ndarray, start: np.ndarray | None = None, tolerance: float = 2e-3
) -> np.ndarray:
    """Where each pixel of a frame was in the first frame: the inverse of x -> x + expression(x) + drift.

    Solved by fixed-point iteration, which converges because the expression's slope is below 1.

    Parameters
    ----------
    expression : float32 (2, H, W)
        Displacement of each pixel of the first frame.
    drift : (2,)
        Displacement common to all.
    start : float32 (2, H, W), optional
        First guess: the previous frame's answer, for speed.
    tolerance
        Stop when no position changes by more, px.

    Returns
    -------
    float32 (2, H, W): x and y of the position in the first frame.
    """
    target = _grid(*expression.shape[1:]) - np.asarray(drift, np.float32)[:, None, None]
    position = target if start is None else start
    for _ in range(4):
        # OpenCV samples fast but only on 1/32 px: good enough to come close.
        stacked = np.ascontiguousarray(expression.transpose(1, 2, 0))
        near = cv2.remap(stacked, *position, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        position = target - near.transpose(2, 0, 1)
    for _ in range(100):
        update = target - _sample(expression, position)
        change = float(np.abs(update - position).max())
        position = update
        if change <= tolerance:
            return position
    raise ArithmeticError(f"the displacement field cannot be inverted: still changing by {change:.3g} px")


@dataclass(frozen=True)
class Camera:
    """How frames are taken: size in pixels, drift in pixels at the reference size, noise and flicker."""

    height: int
    width: int
    drift: float
    noise: float
    flicker: float

    @property
    def pixel(self) -> float:
        """Pixels per pixel of the reference size."""
        return min(self.height, self.width) / REFERENCE_SIZE

    @property
    def scale(self) -> float:
        """Pixels per face unit."""
        return min(self.width / 2, self.height / 2 / HALF_HEIGHT)

    @property
    def supersampling(self) -> int:
        """How much finer than a frame the face is painted; less in large frames, which would take a gigabyte."""
        return 3 if self.scale < 160 else 2


@dataclass(frozen=True)
class _Plan:
    """One row of the annotation, but for the apex and the action units."""

    subject: int
    name: str
    label: str
    onset: int
    n_frames: int
    clip: str


@dataclass(frozen=True)
class _Motion:
    """One clip's truth (see the module's docstring), and where the face is in its first frame."""

    units: tuple[int, ...]
    basis: np.ndarray  # float16 (A, 2, H, W)
    profile: np.ndarray  # float32 (n_frames, A)
    drift: np.ndarray  # float32 (n_frames, 2)
    shift: np.ndarray  # float32 (2,) px
    zoom: float
    apex: int  # the frame of the strongest expression, all units together


@dataclass(frozen=True)
class _Portrait:
    """A subject's neutral face, ready to be photographed: float32 (H, W, 3) BGR, with a margin around the frame."""

    picture: np.ndarray
    margin: int  # px of the frame


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {allowed}; found {value}")


def _stream(seed: int, *words: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, *words))))


def _write(
    folder: Path, seed: int, plan: list[_Plan], amplitude: tuple[float, float], camera: Camera, style: Layout
) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[object, ...]] = []
    tiles: dict[tuple[int, str], np.ndarray] = {}
    face, portrait, subject = None, None, 0
    with h5py.File(folder / TRUTH, "w") as truth:
        truth.attrs["moving_threshold"] = MOVING_THRESHOLD * camera.pixel
        for index, item in enumerate(plan):
            if item.subject != subject:
                subject = item.subject
                face = draw_subject(_stream(seed, _SUBJECT, subject))
                portrait = _portrait(face, camera, amplitude[1])
            rng = _stream(seed, _CLIP, subject, index)
            motion = _draw_motion(item, face, amplitude, camera, rng)
            _frame_file(folder, style, item, item.onset).parent.mkdir(parents=True)
            kept, peak = [], np.zeros((camera.height, camera.width), np.float32)
            for t, (frame, expression) in enumerate(_film(motion, portrait, camera, rng)):
                _save(_frame_file(folder, style, item, item.onset + t), frame)
                np.maximum(peak, np.hypot(*expression), out=peak)
                if t in (0, motion.apex):
                    kept.append(frame)
            moving = peak > MOVING_THRESHOLD * camera.pixel
            _record(truth.create_group(item.clip), item, motion, moving)
            rows.append(_row(item, motion, style))
            if (item.subject, item.label) not in tiles:
                tiles[item.subject, item.label] = _tile(*kept, motion)
            yield item.clip
    if style.annotation:
        _annotate(folder / style.annotation, rows, style)
    _save(folder / CONTACT_SHEET, _sheet(tiles, sorted({item.subject for item in plan}), style.classes))


def _frame_file(folder: Path, style: Layout, item: _Plan, number: int) -> Path:
    return folder / style.frame.format(subject=item.subject, name=item.name, label=item.label, number=number)


def _plan(
    seed: int, subjects: int, clips: int, frames: tuple[int, int], style: Layout = LAYOUTS["casme2"]
) -> list[_Plan]:
    """Who shows what, in which file: uneven over subjects and classes, sorted by clip id."""
    rng = _stream(seed, _PLAN)
    classes = style.classes
    per_class = 1 + _apportion(clips - len(classes), np.array(list(style.shares.values())) * clips - 1)
    per_subject = 1 + _apportion(clips - subjects, np.exp(rng.uniform(0, 1.2, subjects)))
    who = np.repeat(np.arange(1, subjects + 1), per_subject)
    what = np.repeat(np.arange(len(classes)), per_class)
    # A class seen in one subject only cannot be learned when that subject is left out. Take the best of some shuffles;
    # with few clips it may be impossible to spread them all.
    shuffles = [rng.permutation(what) for _ in range(100)]
    what = min(shuffles, key=lambda labels: sum(len(set(who[labels == c])) < 2 for c in range(len(classes))))

    names: dict[tuple[int, str], int] = {}
    for subject, label in zip(who, what, strict=True):
        episode, tag = int(rng.integers(2, 20)), style.tags.get(classes[label])
        begin = f"{tag or f'EP{episode:02d}'}_"
        take = 1 + sum(1 for s, name in names if s == subject and name.startswith(begin))
        name = style.name.format(episode=episode, tag=tag, take=take) + str(rng.choice(style.suffixes))
        names[int(subject), name] = int(label)
    plan = []
    # In the order of the ids, whatever the onset adds to them.
    order = sorted(names.items(), key=lambda entry: style.clip.format(subject=entry[0][0], name=entry[0][1], onset=""))
    for index, ((subject, name), label) in enumerate(order):
        n_frames = int(rng.integers(frames[0], frames[1], endpoint=True))
        onset = _onset(index, n_frames, rng)
        clip = style.clip.format(subject=subject, name=name, onset=onset)
        plan.append(_Plan(subject, name, classes[label], onset, n_frames, clip))
    return plan


def _onset(index: int, n_frames: int, rng: np.random.Generator) -> int:
    """First frame number. Two clips in three gain a digit on the way, which is where sorting by name goes wrong."""
    turn = (10, 100, None)[index % 3]
    if turn is None:
        return int(rng.integers(1, 300))
    return int(rng.integers(max(1, turn + 1 - n_frames), turn))


def _apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to the weights that add up to the total (largest remainder)."""
    weights = np.clip(weights, 1e-9, None)
    exact = total * weights / weights.sum()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _draw_motion(
    item: _Plan, face: Face, amplitude: tuple[float, float], camera: Camera, rng: np.random.Generator
) -> _Motion:
    zoom = 1 + rng.uniform(-_FRAMING, _FRAMING)
    shift = (rng.uniform(-_FRAMING, _FRAMING, 2) * camera.scale).astype(np.float32)
    scale = camera.scale * zoom
    centre = (camera.width - 1) / 2 + shift[0], (camera.height - 1) / 2 + shift[1]
    points = {name: (centre[0] + scale * x, centre[1] + scale * y) for name, (x, y) in landmarks(face).items()}

    drawn = draw_expression(item.label, rng)
    units = tuple(drawn)
    sides = [(1 + a, 1 - a) for a in rng.uniform(-0.15, 0.15, len(units))]
    basis = [
        unit_displacement(unit, points, scale, both, camera.height, camera.width)
        for unit, both in zip(units, sides, strict=True)
    ]
    peak_px = rng.uniform(*amplitude) * camera.pixel
    last = item.n_frames - 1
    apex = rng.uniform(0.3, 0.6) * last
    residue = rng.uniform(0, 0.3)
    courses = []
    for delay in rng.uniform(0, 0.12, len(units)):
        peak = float(np.clip(apex * (1 + delay), 1, last - 1))
        courses.append(time_course(item.n_frames, delay * peak, peak, residue))
    relative = np.stack(courses, axis=1) * np.array(list(drawn.values()), np.float32)
    return _Motion(
        units=units,
        basis=np.stack(basis),
        profile=(relative * peak_px).astype(np.float32),
        drift=_draw_drift(item.n_frames, camera, rng),
        shift=shift,
        zoom=zoom,
        apex=int(relative.sum(1).argmax()),
    )


def _draw_drift(n_frames: int, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A smooth path from (0, 0): float32 (n_frames, 2), never farther than `camera.drift` away."""
    t = np.linspace(0, 1, n_frames)[:, None]
    path = np.zeros((n_frames, 2))
    for turns in (0.5, 1.0, 1.5):
        phase = rng.uniform(0, 2 * np.pi, 2)
        path += rng.normal(0, 1 / turns, 2) * (np.sin(2 * np.pi * turns * t + phase) - np.sin(phase))
    extent = rng.uniform(0.4, 1.0) * camera.drift * camera.pixel
    return (path * extent / np.hypot(*path.T).max()).astype(np.float32)


def _portrait(face: Face, camera: Camera, amplitude: float) -> _Portrait:
    reach = (camera.drift + 2 * amplitude) * camera.pixel + 2 * _FRAMING * max(camera.height, camera.width)
    margin = int(np.ceil(reach)) + 2
    k = camera.supersampling

    def axis(length: int) -> np.ndarray:
        position = (np.arange(k * (length + 2 * margin)) + 0.5) / k - margin - length / 2
        return (position / camera.scale).astype(np.float32)

    x, y = np.meshgrid(axis(camera.width), axis(camera.height))
    picture = paint(face, x, y)[..., ::-1]
    # The blur of a lens and of one pixel's area: frames can then be sampled from the picture point by point.
    picture = cv2.GaussianBlur(cv2.blur(picture, (k, k)), (0, 0), 0.4 * k)
    return _Portrait(picture, margin)


def _film(
    motion: _Motion, portrait: _Portrait, camera: Camera, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Take a clip's frames, uint8 (H, W, 3) BGR, each with the expression's displacement, float32 (2, H, W)."""
    size = np.array([camera.width, camera.height], np.float32)
    offset = size / 2 + portrait.margin - ((size - 1) / 2 + motion.shift) / motion.zoom
    basis = motion.basis.astype(np.float32)
    position = None
    for profile, drift in zip(motion.profile, motion.drift, strict=True):
        expression = _expression(basis, profile)
        position = first_frame_positions(expression, drift, position)
        # From pixels of the first frame to pixels of the portrait, whose pixel centres are half a pixel off.
        column, row = camera.supersampling * (position / motion.zoom + offset[:, None, None]) - 0.5
        frame = cv2.remap(portrait.picture, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frame *= 1 + camera.flicker * float(np.clip(rng.standard_normal(), -3, 3))
        frame += camera.noise * rng.standard_normal(frame.shape, dtype=np.float32)
        yield np.clip(np.rint(frame), 0, 255).astype(np.uint8), expression


def _expression(basis: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Displacement by the expression alone: float32 (2, H, W)."""
    return np.tensordot(np.asarray(profile, np.float32), np.asarray(basis, np.float32), axes=1)


def _grid(height: int, width: int) -> np.ndarray:
    """x and y of every pixel: float32 (2, H, W)."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def _sample(field: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Values of a (2, H, W) field at positions (2, H, W) in pixels, bilinear; its border continues outside."""
    height, width = field.shape[1:]
    x, y = np.clip(position[0], 0, width - 1), np.clip(position[1], 0, height - 1)
    column, row = np.minimum(x.astype(np.intp), width - 2), np.minimum(y.astype(np.intp), height - 2)
    right, down = (x - column).astype(np.float32), (y - row).astype(np.float32)
    flat = (field[0] + np.complex64(1j) * field[1]).ravel()  # one complex number per vector: half the look-ups
    corner = row * width + column
    above = flat[corner] * (1 - right) + flat[corner + 1] * right
    corner += width
    below = flat[corner] * (1 - right) + flat[corner + 1] * right
    value = above + (below - above) * down
    return np.stack([value.real, value.imag])


def _record(group: h5py.Group, item: _Plan, motion: _Motion, moving: np.ndarray) -> None:
    group.attrs["label"] = item.label
    group.attrs["action_units"] = np.array(motion.units, np.int32)
    packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    group.create_dataset("basis", data=motion.basis, chunks=(1, 1, *motion.basis.shape[2:]), **packed)
    group.create_dataset("profile", data=motion.profile)
    group.create_dataset("drift", data=motion.drift)
    group.create_dataset("moving", data=moving, **packed)


def _row(item: _Plan, motion: _Motion, style: Layout) -> tuple[object, ...]:
    values = {
        "subject": item.subject,
        "name": item.name,
        "label": item.label,
        "onset": item.onset,
        "apex": item.onset + motion.apex,
        "offset": item.onset + item.n_frames - 1,
        "units": "+".join(map(str, motion.units)),
        None: None,
    }
    return tuple(values[field] for _, field in style.columns)


def _annotate(path: Path, rows: list[tuple[object, ...]], style: Layout = LAYOUTS["casme2"]) -> None:
    """Write the annotation spreadsheet, without the time of writing that spreadsheets carry."""
    book = Workbook()
    sheet = book.active
    for row in (tuple(header for header, _ in style.columns), *rows):
        sheet.append(row)
    written = io.BytesIO()
    book.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", content)
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)


def _save(path: Path, picture: np.ndarray) -> None:
    # Bytes, not the path, come from OpenCV: it cannot open every non-ASCII path, and fails silently.
    path.write_bytes(cv2.imencode(path.suffix, picture, _encoding(path.suffix))[1].tobytes())


def _encoding(suffix: str) -> list[int]:
    return [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []


_TILE_HEIGHT = 180
_TITLE = 22
_PAPER, _INK = 245, (40, 40, 40)


def _tile(first: np.ndarray, apex: np.ndarray, motion: _Motion) -> np.ndarray:
    """First frame, apex, and the expression's motion between them as arrows on the dimmed first frame."""
    height, width = first.shape[:2]
    factor = _TILE_HEIGHT / height
    size = max(1, round(width * factor)), _TILE_HEIGHT
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in (first, apex)]
    arrows = cv2.addWeighted(small[0], 0.45, np.full_like(small[0], 255), 0.25, 0)
    expression = _expression(motion.basis, motion.profile[motion.apex])
    peak = float(np.hypot(*expression).max()) or 1.0
    for row in range(5, _TILE_HEIGHT, 9):
        for column in range(5, size[0], 9):
            u, v = expression[:, min(int(row / factor), height - 1), min(int(column / factor), width - 1)] / peak
            if np.hypot(u, v) > 0.15:
                tip = round(column + 16 * float(u)), round(row + 16 * float(v))
                cv2.arrowedLine(arrows, (column, row), tip, (0, 230, 255), 1, cv2.LINE_AA, tipLength=0.35)
    tile = np.full((_TILE_HEIGHT + _TITLE, 3 * size[0], 3), _PAPER, np.uint8)
    tile[_TITLE:] = np.hstack([*small, arrows])
    _write_text(tile, "AU " + "+".join(map(str, motion.units)), (3, 15))
    return tile


def _sheet(tiles: dict[tuple[int, str], np.ndarray], subjects: list[int], classes: tuple[str, ...]) -> np.ndarray:
    """Subjects down, classes across; what nobody showed stays blank."""
    height, width = next(iter(tiles.values())).shape[:2]
    gap, left, top = 8, 56, 26
    shape = (top + len(subjects) * (height + gap), left + len(classes) * (width + gap), 3)
    sheet = np.full(shape, _PAPER, np.uint8)
    for column, label in enumerate(classes):
        x = left + column * (width + gap)
        _write_text(sheet, f"{label}: onset, apex, motion", (x + 3, 17))
        for row, subject in enumerate(subjects):
            y = top + row * (height + gap)
            _write_text(sheet, f"sub{subject:02d}", (4, y + height // 2))
            tile = tiles.get((subject, label))
            sheet[y : y + height, x : x + width] = 228 if tile is None else tile
    return sheet


def _write_text(picture: np.ndarray, text: str, corner: tuple[int, int]) -> None:
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
