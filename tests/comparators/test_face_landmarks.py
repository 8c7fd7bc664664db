"""Landmarks by a model that is brought: OpenCV reads a stand-in of the same form; what it says is checked."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import comparators
from pipeline.comparators.shared import facial_regions
from pipeline.comparators.shared.face_landmarks import LandmarkModel, NoFace, model_of, regions_by_clip, regions_of
from pipeline.errors import InputError
from pipeline.storage.digests import sha256
from tests.comparators import schematic_face

STAND_IN = Path(__file__).parent / "schematic_face.tflite"


def picture(red=255, blue=0, height=192, width=192):
    return np.full((height, width, 3), (red, 0, blue), np.uint8)


@pytest.fixture(scope="module")
def model():
    return model_of(STAND_IN)


def test_a_face_has_its_landmarks(model):
    np.testing.assert_allclose(model(picture()), schematic_face.points(), atol=1e-4)
    assert model.sha256 == sha256(STAND_IN)


def test_landmarks_are_those_of_the_picture_not_of_the_network(model):
    """Half the height, twice the width: pixels are areas, so that x + 1/2 doubles."""
    expected = (schematic_face.points() + 0.5) * [2, 0.5] - 0.5
    np.testing.assert_allclose(model(picture(height=96, width=384)), expected, atol=1e-4)


@pytest.mark.parametrize(("red", "blue", "presence"), [(0, 0, "-5.0"), (0, 255, "-5.0"), (60, 255, "-0.3")])
def test_a_picture_without_a_face_is_told_by_the_presence(model, red, blue, presence):
    """The presence is 20 R - 5: red comes first, from 0 to 1."""
    with pytest.raises(NoFace, match=rf"no face in its first frame \(presence {presence}, at least 0\.0 needed\)"):
        model(picture(red, blue))
    model(picture(70))


def network(presence):
    """A network that says what it is told to, the presence first; that of OpenCV has the points first."""

    def run(picture):
        assert picture.shape == (1, 3, 192, 192) and picture.dtype == np.float32
        points = np.concatenate([schematic_face.points(), np.ones((468, 1))], axis=1)
        return [np.array([[[[presence]]]], np.float32), points.astype(np.float32).reshape(1, 1404, 1, 1)]

    return run


def test_outputs_are_told_by_their_size_not_by_their_order():
    np.testing.assert_allclose(LandmarkModel(network(1.0), "")(picture()), schematic_face.points(), atol=1e-4)


def test_a_presence_that_is_no_number_is_no_face():
    with pytest.raises(NoFace, match="presence nan"):
        LandmarkModel(network(float("nan")), "")(picture())


def clip(*reds):
    return np.stack([picture(red) for red in reds])


def test_the_first_frame_alone_decides(model):
    expected = facial_regions.regions(schematic_face.points(), 192, 192)
    assert np.array_equal(regions_of(clip(255, 0, 0), model), expected)
    with pytest.raises(NoFace):
        regions_of(clip(0, 255, 255), model)


def test_clips_without_a_face_are_named_all_at_once(model):
    found = regions_by_clip([("a/0", clip(255, 0)), ("a/1", clip(200, 0))], model)
    assert list(found) == ["a/0", "a/1"] and found["a/1"].shape == (192, 192)
    clips = [("a/0", clip(255, 0)), ("a/1", clip(0, 255)), ("b/0", clip(10, 255))]
    with pytest.raises(
        InputError, match=r"2 are not right:\n  a/1: no face .*-5\.0.*\n  b/0: no face .*\nIn params"
    ) as error:
        regions_by_clip(clips, model)
    assert "a/0" not in str(error.value) and "comparators.landmarks: weights/none" in str(error.value)


@pytest.mark.parametrize("name", ["mdmo", "sparse_mdmo", "fhofo"])
def test_the_methods_with_regions_describe_those_of_the_face(model, name):
    """Motion in one region alone, the left half of the upper lip, is seen in this one alone."""
    regions = regions_of(clip(255, 255), model)
    flow = np.zeros((4, 2, 192, 192), np.float32)
    flow[:, 1, regions == 26] = 0.5
    feature = comparators.describe(name, flow, regions=regions)
    by_region = {
        "mdmo": lambda: feature[0],  # lengths
        "sparse_mdmo": lambda: feature.reshape(4, 2, 36)[-1, 0],
        "fhofo": lambda: feature.sum(axis=(0, 2)),
    }[name]()
    assert np.flatnonzero(by_region).tolist() == [26]


def test_an_empty_file_asks_for_no_landmarks(tmp_path):
    (tmp_path / "none").touch()
    assert model_of(tmp_path / "none") is None
    assert model_of(Path(__file__).parents[2] / "weights/none") is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html>404</html>", "OpenCV reads no network from its 16 bytes"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "OpenCV reads no network from its 108 bytes"),
        (STAND_IN.read_bytes()[:5000], "OpenCV reads no network from its 5,000 bytes"),
        ((STAND_IN.parent / "two_values.tflite").read_bytes(), "its network gives 2 values for a picture"),
    ],
    ids=["a web page", "rubbish", "cut off", "another network"],
)
def test_a_file_that_is_no_landmark_model_is_refused(tmp_path, content, found):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=found) as error:
        model_of(path)
    assert str(path) in str(error.value) and "mediapipe==0.10.14" in str(error.value)


@pytest.mark.parametrize(
    ("make", "found"), [(Path.mkdir, "it is a folder"), (lambda path: None, "there is no such file")]
)
def test_a_path_without_a_file_is_refused(tmp_path, make, found):
    make(tmp_path / "model")
    with pytest.raises(InputError, match=found):
        model_of(tmp_path / "model")
