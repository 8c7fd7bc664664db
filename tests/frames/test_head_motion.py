"""The path of a head: recovered from known motion, deaf to what is not the head, and honest where there is none."""

import re
from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.frames.head_motion import (
    NoHeadMotionError,
    _percent,
    agreement,
    fitted,
    follow,
    restored,
    stabilised,
    trace,
    without,
)

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
    assert 0.45 < agreement(field, found) < 0.6  # of the middle, where more of it is


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


def face_before(background, head, picture):
    """A face that goes with a head before a background at rest: uint8 (SIZE, SIZE, 3)."""
    face = (np.hypot((X - 47.5) / 36, (Y - 47.5) / 42) < 1).astype(np.float32)
    cover = cv2.warpAffine(face, head, (SIZE, SIZE))[..., None]
    [moved] = filmed([head], picture)
    return np.rint(cover * moved + (1 - cover) * background).astype(np.uint8)


@pytest.mark.parametrize("reach", [3.0, 6.0, 9.0])
def test_a_head_that_moves_by_many_pixels_before_a_background_at_rest_is_followed(reach):
    """Real heads move by 3 to 9 px at 192 px in half a second; hair and background do not, or otherwise."""
    half = reach / 2  # at the size of these pictures
    heads = [turned(0.3 * half * t / 9, 0.0, (0.8 * half * t / 9, 0.6 * half * t / 9)) for t in range(10)]
    path = follow(np.stack([face_before(texture(1), head, texture()) for head in heads]), "affine")
    for found, known in zip(path, heads, strict=True):
        assert np.hypot(*(displacement(found) - displacement(known)))[30:66, 30:66].max() < 0.1 + 0.05 * half


def test_agreement_is_asked_of_the_face_and_allows_for_more_where_the_head_moves_more():
    head = turned(shift=(4.0, 0.0))
    field = displacement(head)
    field[:, np.hypot(X - 48, Y - 48) > 40] = 0  # the background
    assert agreement(field, head) == 1
    field[1] += 0.35  # more than 0.25 px, which is 0.5 px at 192 px, and less than a tenth of the motion
    assert agreement(field, head) == 1
    field[1] += 0.1
    assert agreement(field, head) == 0
    assert agreement(np.stack([np.zeros_like(X), np.full_like(X, 0.35)]), STILL) == 0


def test_a_cut_is_named_with_its_frame():
    frames = np.concatenate([filmed(PATH[:3], texture(0)), filmed(PATH[:3], texture(1))])
    reason = (
        r"frame 4 shows something else than frame 3: \d+ % of the face move as one between them, at least 20 % must"
    )
    with pytest.raises(NoHeadMotionError, match=reason) as caught:
        follow(frames, "affine")
    assert caught.value.doubt.kind == "cut"
    said = caught.value.doubt.said(lambda index: f"frame {index + 71}")
    assert said.startswith("frame 74 shows something else than frame 73")


def changing(frames=12):
    """A face that turns into another one little by little, without a cut."""
    first, last = (picture.astype(float) for picture in (texture(0), texture(7)))
    return np.stack([np.rint(first + share * (last - first)) for share in np.linspace(0, 1, frames)]).astype(np.uint8)


def test_a_face_that_changes_little_by_little_is_not_called_a_cut():
    with pytest.raises(NoHeadMotionError, match=r"the face in frame \d+ has changed too much since frame 1") as caught:
        follow(changing(), "affine")
    assert caught.value.doubt.kind == "lost"


def test_a_hand_before_the_face_is_refused():
    frames = filmed(PATH, texture(0))
    frames[4:, 14:82, 10:86] = filmed([turned(shift=(3.0, 1.0))], texture(5))[0, 14:82, 10:86]
    with pytest.raises(NoHeadMotionError, match=r"frame 5 shows something else than frame 4"):
        follow(frames, "affine")


def test_a_share_below_the_limit_is_not_printed_as_the_limit():
    assert (_percent(0.1999), _percent(0.2), _percent(0.29)) == ("19 %", "20 %", "29 %")


def test_a_face_that_leaves_the_frame_is_named_with_its_frame():
    """Its features reach within 14 px of the edge of 96."""
    heads = [turned(shift=(2.5 * t, 0.0)) for t in range(8)]
    found = trace(filmed(heads, texture()), "affine")
    [doubt] = found.doubts
    assert (doubt.kind, doubt.frame) == ("left", 6)
    assert re.match(r"the face leaves the frame in frame 7: .* by \d px at 192 px", doubt.said())
    with pytest.raises(NoHeadMotionError, match="leaves the frame in frame 7"):
        follow(filmed(heads, texture()), "affine")


def test_a_path_comes_with_the_share_of_the_face_that_moves_along():
    frames = filmed(PATH, texture())
    found = trace(frames, "affine")
    np.testing.assert_array_equal(found.path, follow(frames, "affine"))
    assert found.doubts == () and found.share > 0.95
    frames[3, 20:50, 30:66] = filmed([turned(shift=(3.0, 0.0))], texture())[0, 20:50, 30:66]
    found = trace(frames, "affine")
    assert found.least == 3 and 0.4 < found.share < 0.9 and found.doubts == ()
    assert trace(frames, "keep").share == 1


def test_a_jump_is_named_with_its_frames():
    frames = filmed([*PATH[:3], turned(shift=(5.0, 0.0)), turned(shift=(5.1, 0.0))], texture())
    with pytest.raises(NoHeadMotionError, match=r"jumps from frame 3 to frame 4: by \d+\.\d px at 192 px, at most 6"):
        follow(frames, "affine")


def test_an_unknown_fit_is_an_error():
    with pytest.raises(ValueError, match="one of keep, translation, affine; found 'perspective'"):
        follow(filmed(PATH, texture()), "perspective")
