"""Action units as displacement fields: where they move, which way, and that they never fold the skin."""

import numpy as np
import pytest

from pipeline.synthetic import action_units
from pipeline.synthetic.action_units import ACTION_UNITS, COMBINATIONS, draw_expression, time_course, unit_displacement
from pipeline.synthetic.camera import REFERENCE_SIZE
from pipeline.synthetic.face import draw_subject, landmarks
from pipeline.synthetic.generator import MAX_AMPLITUDE

HEIGHT, WIDTH = 224, 192
SCALE = WIDTH / 2


def points(seed: int) -> dict[str, tuple[float, float]]:
    face = draw_subject(np.random.default_rng(seed))
    return {name: (WIDTH / 2 + SCALE * x, HEIGHT / 2 + SCALE * y) for name, (x, y) in landmarks(face).items()}


def field(unit: int, seed: int = 0, sides: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    return unit_displacement(unit, points(seed), SCALE, sides, HEIGHT, WIDTH)


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_a_unit_has_a_peak_of_one_and_a_limited_reach(unit):
    displacement = field(unit)
    assert displacement.shape == (2, HEIGHT, WIDTH) and displacement.dtype == np.float16
    norm = np.hypot(*displacement.astype(np.float32))
    assert norm.max() == pytest.approx(1, abs=2e-3)
    assert (norm == 0).mean() > 0.4
    assert norm[:5].max() == norm[:, :5].max() == norm[:, -5:].max() == 0


@pytest.mark.parametrize(
    ("unit", "landmark", "outward", "down"),
    [
        (1, "brow_inner", 0, -1),
        (2, "brow_outer", 0, -1),
        (4, "brow_inner", -1, 1),
        (5, "lid_upper", 0, -1),
        (6, "cheek", 0, -1),
        (7, "lid_lower", 0, -1),
        (9, "nose_wing", 0, -1),
        (10, "lip_upper", 0, -1),
        (12, "mouth_corner", 1, -1),
        (14, "mouth_corner", 1, 0),
        (15, "mouth_corner", 0, 1),
        (17, "chin", 0, -1),
        (24, "lip_bottom", 0, -1),
        (24, "lip_top", 0, 1),
    ],
)
def test_a_unit_moves_its_landmark_the_anatomical_way(unit, landmark, outward, down):
    anchors = points(0)
    names = [landmark] if landmark in anchors else [f"{landmark}_left", f"{landmark}_right"]
    for name in names:
        column, row = (round(c) for c in anchors[name])
        u, v = field(unit)[:, row, column].astype(float)
        u *= -1 if name.endswith("_left") else 1
        if outward:
            assert u * outward > 0.25
        if down:
            assert v * down > 0.25


def test_sides_can_differ_in_strength():
    left, right = np.split(np.hypot(*field(12, sides=(0.8, 1.2)).astype(np.float32)), 2, axis=1)
    assert left.max() == pytest.approx(right.max() * 0.8 / 1.2, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_no_expression_folds_the_skin_even_at_the_largest_amplitude(seed):
    fields = {unit: field(unit, seed, (1.15, 0.85)).astype(np.float32) for unit in ACTION_UNITS}
    amplitude = MAX_AMPLITUDE * WIDTH / REFERENCE_SIZE
    for _, units in (entry for entries in COMBINATIONS.values() for entry in entries):
        for stray in (None, *action_units._STRAY_UNITS):
            displacement = sum(amplitude * fields[unit] for unit in units)
            if stray is not None and stray not in units:
                displacement = displacement + amplitude * action_units._STRAY_STRENGTH[1] * fields[stray]
            (uy, ux), (vy, vx) = (np.gradient(component) for component in displacement)
            assert ((1 + ux) * (1 + vy) - uy * vx).min() > 0.05, (units, stray)


def test_expressions_follow_the_table_and_overlap_between_classes():
    rng = np.random.default_rng(0)
    seen = {label: set() for label in COMBINATIONS}
    for label, entries in COMBINATIONS.items():
        allowed = [set(units) for _, units in entries]
        for _ in range(300):
            expression = draw_expression(label, rng)
            assert list(expression) == sorted(expression)
            assert max(expression.values()) == 1 and min(expression.values()) > 0
            assert any(units <= set(expression) and len(set(expression) - units) <= 1 for units in allowed)
            seen[label] |= set(expression)
    assert 4 in seen["disgust"] & seen["repression"] & seen["surprise"]
    assert 12 in seen["happiness"] & seen["repression"]
    assert {1, 5}.isdisjoint(seen["disgust"] | seen["repression"])


@pytest.mark.parametrize(("n_frames", "start", "apex"), [(3, 0.0, 1.0), (20, 0.7, 9.5), (60, 0.0, 20.0)])
def test_a_course_rises_from_zero_to_its_apex_and_falls_to_its_residue(n_frames, start, apex):
    course = time_course(n_frames, start, apex, 0.25)
    assert course.shape == (n_frames,) and course.dtype == np.float32
    assert course[0] == 0
    assert course[-1] == pytest.approx(0.25)
    peak = int(course.argmax())
    assert abs(peak - apex) <= 1 and course[peak] > 0.95
    assert (np.diff(course[: peak + 1]) >= 0).all() and (np.diff(course[peak:]) <= 0).all()
