"""The square around a face."""

import cv2
import numpy as np
import pytest

from pipeline.frames import face_crop, frame_files
from pipeline.frames.recording import Recording
from tests.official import TINY, write_tree

pytestmark = pytest.mark.xdist_group("faces")  # one process makes what the tests share


@pytest.fixture(scope="module")
def onsets(tmp_path_factory):
    """Onset frames of five subjects, 200 x 160 px."""
    root = tmp_path_factory.mktemp("faces")
    settings = TINY | {"subjects": 5, "clips": 5, "height": 160, "width": 200, "frames": (3, 3)}
    return [
        frame_files.read(next(iter(frame_files.numbered(root / "Cropped" / clip).values())))
        for clip in write_tree(root, **settings)
    ]


def on_background(face, height, width, x, y):
    """A recording that shows more than the face."""
    noise = np.random.default_rng(0).uniform(60, 120, (height, width, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 6).astype(np.uint8)
    picture[y : y + face.shape[0], x : x + face.shape[1]] = face
    return picture


def test_the_face_of_every_subject_is_found_where_it_is(onsets):
    for frame in onsets:
        picture = on_background(frame, 360, 480, 230, 120)
        x, y, width, height = face_crop.find_face(picture)
        assert width == height and 100 <= width <= 170
        # The centre of the square is near the centre of the face, which fills the height of its picture.
        assert abs(x + width / 2 - (230 + 100)) < 16 and abs(y + height / 2 - (120 + 80)) < 24


def test_a_square_at_the_edge_is_moved_inside(onsets):
    for frame in onsets:
        x, y, width, height = face_crop.find_face(frame)
        assert width == height <= 160
        assert x >= 0 and y >= 0 and x + width <= 200 and y + height <= 160
        cut = frame[:, 38:]  # the face touches the left edge
        box = face_crop.find_face(cut)
        assert box and box[0] == 0 and box[2] == box[3] and face_crop.box_for(cut, box) == box


def test_the_largest_face_counts_and_the_same_one_every_time(onsets):
    small = cv2.resize(onsets[1], (100, 80), interpolation=cv2.INTER_AREA)
    picture = on_background(onsets[0], 360, 480, 20, 150)
    picture[20:100, 350:450] = small
    boxes = {face_crop.find_face(picture) for _ in range(3)}
    [(x, _, width, _)] = boxes
    assert width > 90 and x < 120


def test_no_face_is_none():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert face_crop.find_face(noise) is None
    assert face_crop.find_face(np.zeros((100, 100, 3), np.uint8)) is None


@pytest.mark.parametrize(("box", "inside"), [((0, 0, 30, 40), True), ((1, 0, 30, 40), False), ((0, 1, 30, 40), False)])
def test_a_box_must_lie_inside_the_frame(box, inside):
    frame = np.zeros((40, 30, 3), np.uint8)
    if inside:
        assert face_crop.box_for(frame, box) == box
        return
    with pytest.raises(face_crop.NoBox, match=r"is not inside its onset frame \(30 x 40 px\)"):
        face_crop.box_for(frame, box)


def test_a_box_by_hand_goes_before_the_face_and_without_either_it_is_said(onsets):
    assert face_crop.box_for(onsets[0], (1, 2, 30, 40)) == (1, 2, 30, 40)
    assert face_crop.box_for(onsets[0]) == face_crop.find_face(onsets[0])
    with pytest.raises(face_crop.NoBox, match="no face found in its onset frame"):
        face_crop.box_for(np.zeros((100, 100, 3), np.uint8))


def test_one_box_cuts_every_frame_of_a_recording(tree):
    folder = tree.add(onset=8, offset=10)
    whole, part = Recording(folder, 8, 10), Recording(folder, 8, 10, (5, 7, 11, 13))
    for index in range(3):
        np.testing.assert_array_equal(part[index], whole[index][7:20, 5:16])
