"""Procedural faces: the same subject at any size, different subjects apart, enough texture for optical flow."""

import cv2
import numpy as np
import pytest

from pipeline.synthetic.face import HALF_HEIGHT, draw_subject, landmarks, paint


def grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    x = ((np.arange(width) + 0.5) * 2 / width - 1).astype(np.float32)
    y = ((np.arange(height) + 0.5) * 2 / width - height / width).astype(np.float32)
    return tuple(np.meshgrid(x, y))


def subject(seed: int):
    return draw_subject(np.random.default_rng(seed))


def test_a_face_is_the_same_each_time_and_differs_between_subjects():
    first, again, other = (paint(subject(seed), *grid(120, 140)) for seed in (1, 1, 2))
    assert first.shape == (140, 120, 3) and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_a_face_does_not_depend_on_the_size_it_is_painted_in():
    coarse, fine = paint(subject(3), *grid(240, 280)), paint(subject(3), *grid(480, 560))
    difference = np.abs(cv2.resize(fine, (240, 280), interpolation=cv2.INTER_AREA) - coarse)
    assert difference[40:240, 30:210].mean() < 3  # thin hairs and edges differ, features would differ by tens


@pytest.mark.parametrize("seed", range(5))
def test_landmarks_lie_on_the_face_in_anatomical_order(seed):
    points = landmarks(subject(seed))
    assert all(abs(x) < 0.85 and abs(y) < HALF_HEIGHT for x, y in points.values())
    order = ("brow_inner_left", "lid_upper_left", "lid_lower_left", "nose_wing_left", "mouth_corner_left", "chin")
    heights = [points[name][1] for name in order]
    assert heights == sorted(heights)
    for name, (x, y) in points.items():
        if name.endswith("_left"):
            assert points[name.replace("_left", "_right")] == pytest.approx((-x, y))
            assert x < 0


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_the_face_are_where_the_landmarks_say(seed):
    face = subject(seed)
    x, y = grid(240, 280)
    picture = paint(face, x, y)

    def mean_at(point, radius=0.03):
        return picture[np.hypot(x - point[0], y - point[1]) < radius].mean(0)

    points = landmarks(face)
    cheek = mean_at(points["cheek_left"])
    assert mean_at(points["brow_middle_left"]).mean() < cheek.mean() - 10  # brows are darker than skin
    lips = mean_at((0.0, face.mouth_y + face.lower_lip / 2), 0.02)
    assert lips[1] / lips[0] < cheek[1] / cheek[0]  # lips are redder than skin


@pytest.mark.parametrize("seed", range(3))
def test_skin_has_texture_everywhere(seed):
    face = subject(seed)
    x, y = grid(240, 280)
    grey = paint(face, x, y).mean(-1)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 4)
    spread = np.sqrt(cv2.GaussianBlur(fine**2, (0, 0), 6))
    points = landmarks(face)
    for name in ("cheek_left", "cheek_right", "chin", "glabella"):
        cx, cy = points[name]
        assert spread[np.hypot(x - cx, y - cy) < 0.05].min() > 1.0  # above the camera's noise
