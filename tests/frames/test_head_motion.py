"""The path of a head: recovered from known motion, deaf to what is not the head, and honest where there is none."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.frames.head_motion import NoHeadMotionError, agreement, fitted, follow, restored, stabilised, without

SIZE = 96
STILL = np.eye(3)[:2]
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float64)
INNER = np.s_[..., 8:-8, 8:-8]


def turned(degrees=0.0, growth=0.0, shift=(0.0, 0.0)):
    """The map of a head that turns and grows about the centre of the frame and shifts, (2, 3)."""
    turn = np.radians(degrees)
    linear = (1 + growth) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, (SIZE - 1) / 2)
    return np.hstack([linear, (centre - linear @ centre + shift)[:, None]])


def displacement(head):
    """Where a map takes every pixel, less the pixel: (2, SIZE, SIZE)."""
    return np.stack([head[row, 0] * X + head[row, 1] * Y + head[row, 2] - (X, Y)[row] for row in range(2)])


def apart(head, other):
    """How far apart two maps take any pixel at most, but for the border."""
    return np.hypot(*(displacement(head) - displacement(other)))[INNER].max()


def texture(seed=0):
    """A picture that optical flow can hold on to, uint8 (SIZE, SIZE, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (SIZE, SIZE)).astype(np.float32)
    waves = sum(weight * cv2.GaussianBlur(noise, (0, 0), width) for width, weight in ((1.5, 1), (4, 3), (9, 8)))
    grey = np.clip(128 + 40 * (waves - waves.mean()) / waves.std(), 0, 255)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def filmed(heads, picture):
    """The picture moved by each of the maps: uint8 (F, SIZE, SIZE, 3)."""
    how, border = cv2.INTER_CUBIC, cv2.BORDER_REFLECT
    return np.stack([cv2.warpAffine(picture, head, (SIZE, SIZE), None, how, border) for head in heads])


PATH = [turned(0.2 * t, 0.001 * t, (0.15 * t, -0.1 * t)) for t in range(6)]


@pytest.mark.parametrize(
    ("fit", "head"), [("translation", turned(shift=(1.5, -0.7))), ("affine", turned(1.2, 0.01, (1.5, -0.7)))]
)
def test_a_field_that_is_a_map_gives_the_map(fit, head):
    found = fitted(displacement(head), fit)
    np.testing.assert_allclose(found, head, atol=1e-9)
    assert agreement(displacement(head), found) == 1


def test_an_expression_on_a_third_of_the_face_does_not_move_the_fit():
    head = turned(0.5, 0.004, (0.6, 0.3))
    field = displacement(head) + np.random.default_rng(0).normal(0, 0.03, (2, SIZE, SIZE))
    field[0, 58:90, 10:86] += 1.5  # the mouth
    field[1, 20:32, 20:76] -= 1.0  # the brows
    changed = np.zeros((SIZE, SIZE), bool)
    changed[58:90, 10:86] = changed[20:32, 20:76] = True
    assert changed.mean() > 0.3
    found = fitted(field, "affine")
    assert apart(found, head) < 0.03
    # Least squares over all pixels would be off by more than ten times as much.
    design = np.stack([np.ones(X.size), X.ravel(), Y.ravel()], axis=1)
    plain = np.linalg.lstsq(design, field.reshape(2, -1).T, rcond=None)[0].T[:, [1, 2, 0]] + STILL
    assert apart(plain, head) > 0.3
    assert 0.6 < agreement(field, found) < 0.75


@pytest.mark.parametrize("still", ["background", "hair"])
def test_what_rests_around_a_moving_face_is_not_the_head(still):
    head = turned(0.6, 0.0, (0.8, -0.5))
    face = np.hypot((X - 47.5) / 34, (Y - 47.5) / 40) < 1
    field = np.where(
        face, displacement(head), 0.0 if still == "background" else displacement(turned(shift=(-1.0, 0.5)))
    )
    assert face.mean() < 0.5
    found = fitted(field + np.random.default_rng(0).normal(0, 0.02, field.shape), "affine")
    assert apart(found, head) < 0.1


def test_a_filmed_head_is_followed():
    path = follow(filmed(PATH, texture()), "affine")
    assert path.shape == (6, 2, 3)
    np.testing.assert_array_equal(path[0], STILL)
    for found, known in zip(path, PATH, strict=True):
        assert apart(found, known) < 0.15  # of up to 2.1: flow of small pictures is a little too short


@pytest.mark.parametrize("fit", ["similarity", "keep", ""])
def test_an_unknown_map_is_an_error_and_not_a_translation(fit):
    with pytest.raises(ValueError, match=f"expected one of translation, affine; found '{fit}'"):
        fitted(np.zeros((2, 64, 64), np.float32), fit)
    if fit != "keep":
        with pytest.raises(ValueError, match="expected one of"):
            follow(np.zeros((2, 64, 64, 3), np.uint8), fit)
        with pytest.raises(ValueError, match="expected one of"):
            without(np.zeros((1, 2, 64, 64), np.float32), np.tile(np.eye(3)[:2], (2, 1, 1)), fit)


def test_a_translation_is_followed_without_turns():
    shifts = [turned(shift=(0.3 * t, -0.2 * t)) for t in range(5)]
    path = follow(filmed(shifts, texture()), "translation")
    np.testing.assert_array_equal(path[:, :, :2], np.tile(np.eye(2), (5, 1, 1)))
    np.testing.assert_allclose(path[:, :, 2], [head[:, 2] for head in shifts], atol=0.05)


def test_a_head_that_turns_is_followed_by_a_translation_as_well():
    """Few pixels move as the translation does, and still it is no cut."""
    path = follow(filmed([turned(1.5 * t) for t in range(3)], texture()), "translation")
    np.testing.assert_allclose(path[:, :, 2], 0, atol=0.2)


def test_a_head_that_is_kept_rests():
    frames = filmed(PATH, texture())
    path = follow(frames, "keep")
    np.testing.assert_array_equal(path, np.tile(STILL, (6, 1, 1)))
    np.testing.assert_array_equal(stabilised(frames, path), frames)
    flow = np.random.default_rng(0).normal(size=(5, 2, SIZE, SIZE)).astype(np.float16)
    np.testing.assert_array_equal(without(flow, path, "keep").astype(np.float16), flow)


def test_stabilised_frames_show_the_head_where_it_was_first():
    frames = filmed(PATH, texture())
    found = stabilised(frames, follow(frames, "affine"))
    assert found.dtype == np.uint8 and found.shape == frames.shape
    np.testing.assert_array_equal(found[0], frames[0])
    before, after = (np.abs(shown[5].astype(float) - frames[0])[8:-8, 8:-8].mean() for shown in (frames, found))
    assert after < 0.2 * before


def steps(path):
    """Flow of a head alone: frame i shows q at A_i q, which goes to A_j q. (F - 1, 2, SIZE, SIZE)"""
    full = [np.vstack([head, [0, 0, 1]]) for head in path]
    return np.stack([displacement((there @ np.linalg.inv(here))[:2]) for here, there in pairwise(full)])


def bump(x, y, width):
    return np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * width**2))


@pytest.mark.parametrize(
    ("fit", "path"), [("affine", PATH), ("translation", [turned(shift=(0.3 * t, -0.2 * t)) for t in range(6)])]
)
def test_flow_of_the_head_alone_vanishes_without_it(fit, path):
    found = without(steps(path), np.stack(path), fit)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[INNER], 0, atol=1e-3)


def test_what_an_estimator_gets_wrong_over_all_of_the_face_goes_with_the_head_and_the_expression_stays():
    """Steps that are too short by half: the steps of the path would leave the other half behind."""
    expression = np.stack([0.4 * bump(30, 60, 5), -0.3 * bump(66, 28, 5)])
    rng = np.random.default_rng(0)
    flow = 0.5 * steps(PATH) + expression + rng.normal(0, 0.01, (5, 2, SIZE, SIZE))
    found = without(flow, np.stack([STILL] * 6), "affine")
    np.testing.assert_allclose(
        cv2.blur(found.mean(axis=0).transpose(1, 2, 0), (3, 3)), expression.transpose(1, 2, 0), atol=0.03
    )
    assert np.abs(0.5 * steps(PATH)[INNER]).max() > 0.15


def test_a_still_clip_has_no_flow_to_lose():
    flow = np.zeros((3, 2, SIZE, SIZE), np.float16)
    np.testing.assert_array_equal(without(flow, np.stack([STILL] * 4), "affine"), flow)


def test_flow_of_an_expression_is_seen_where_and_as_the_first_frame_has_it():
    """A head that has doubled and turned by a right angle moves a point twice as far, at another place."""
    head = turned(90.0, 1.0)
    expression = np.stack([bump(42, 52, 4), np.zeros_like(X)])
    back = np.linalg.inv(np.vstack([head, [0, 0, 1]]))[:2]
    x, y = (back[row, 0] * X + back[row, 1] * Y + back[row, 2] for row in range(2))
    carried = np.stack([cv2.remap(part, x.astype("f4"), y.astype("f4"), cv2.INTER_LINEAR) for part in expression])
    seen = np.tensordot(head[:, :2], carried, axes=1)  # as it is filmed
    found = without(seen[None], np.stack([head, head]), "affine")[0]
    middle = np.s_[:, 30:66, 30:66]  # of which all is in the enlarged frame
    np.testing.assert_allclose(found[middle], expression[middle], atol=0.02)


def test_flow_can_be_given_its_head_back():
    flow = steps(PATH) + np.stack([0.4 * bump(30, 60, 6), -0.3 * bump(66, 28, 6)])
    found = restored(without(flow, np.stack(PATH), "affine"), np.stack(PATH))
    np.testing.assert_allclose(found[INNER], flow[INNER], atol=0.02)


def test_equal_frames_give_equal_bytes_with_any_number_of_threads():
    frames = filmed(PATH, texture())
    threads = cv2.getNumThreads()
    try:
        found = []
        for number in (1, 2):
            cv2.setNumThreads(number)
            found.append(follow(frames, "affine").tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert found[0] == found[1]


def test_a_still_clip_has_a_head_that_rests():
    frames = np.stack([texture()] * 4)
    path = follow(frames, "affine")
    np.testing.assert_array_equal(path, np.tile(STILL, (4, 1, 1)))
    np.testing.assert_array_equal(stabilised(frames, path), frames)


def test_a_frame_that_is_repeated_is_one_in_which_the_head_rests():
    path = follow(filmed([PATH[0], PATH[3], PATH[3], PATH[5]], texture()), "affine")
    np.testing.assert_array_equal(path[1], path[2])


def test_a_black_clip_and_a_black_frame_are_named():
    with pytest.raises(NoHeadMotionError, match=r"frame 1 shows nothing: .* deviation of 0\.0, at least 2"):
        follow(np.zeros((4, SIZE, SIZE, 3), np.uint8), "affine")
    frames = filmed(PATH, texture())
    frames[3] = 7
    with pytest.raises(NoHeadMotionError, match="frame 4 shows nothing"):
        follow(frames, "translation")


def test_a_cut_is_named_with_its_frame():
    frames = np.concatenate([filmed(PATH[:3], texture(0)), filmed(PATH[:3], texture(1))])
    with pytest.raises(
        NoHeadMotionError, match=r"frame 4 is another picture than frame 1: \d+ % of it move as one, .*20"
    ):
        follow(frames, "affine")


def test_a_jump_is_named_with_its_frames():
    frames = filmed([*PATH[:3], turned(shift=(5.0, 0.0)), turned(shift=(5.1, 0.0))], texture())
    with pytest.raises(NoHeadMotionError, match=r"jumps from frame 3 to frame 4: by \d+\.\d px at 192 px, at most 6"):
        follow(frames, "affine")


def test_an_unknown_fit_is_an_error():
    with pytest.raises(ValueError, match="one of keep, translation, affine; found 'perspective'"):
        follow(filmed(PATH, texture()), "perspective")
