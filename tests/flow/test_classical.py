"""OpenCV's estimators: direction, sign and scale of the flow, and sub-pixel accuracy."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from pipeline import paths
from pipeline.databases import readers
from pipeline.flow import estimators
from pipeline.frames import frame_files
from pipeline.synthetic import generator
from pipeline.synthetic.motion import true_flow

pytestmark = pytest.mark.xdist_group("a filmed face")  # one process makes what the tests share

WEIGHTS = Path("weights/none")


def texture(height=192, width=160, seed=0):
    noise = np.random.default_rng(seed).uniform(-1, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return (128 + 60 * smooth / smooth.std() / 2).clip(0, 255)


def translated(image, u, v):
    matrix = np.float32([[1, 0, u], [0, 1, v]])
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize(("u", "v"), [(0.5, 0.0), (0.0, -0.3), (1.5, 0.8)])
def test_flow_is_right_and_down_in_pixels(method, u, v):
    image = texture()
    frames = np.stack([image, translated(image, u, v), image]).astype(np.uint8)
    out = estimators.estimator(method, WEIGHTS, "cpu")(frames)
    assert out.shape == (2, 2, 192, 160) and out.dtype == np.float32
    inside = out[:, :, 24:-24, 24:-24]
    np.testing.assert_allclose(inside[0].mean(axis=(1, 2)), [u, v], atol=0.06)
    np.testing.assert_allclose(inside[1].mean(axis=(1, 2)), [-u, -v], atol=0.06)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_the_bytes_do_not_depend_on_the_number_of_threads(method):
    frames = np.stack([texture(), translated(texture(), 0.4, 0.2)]).astype(np.uint8)
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            results.append(estimators.estimator(method, WEIGHTS, "cpu")(frames).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert len(set(results)) == 1


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Onset and apex frame of a synthetic clip, RGB, the true flow between them (2, H, W), and where the face moves."""
    root = tmp_path_factory.mktemp("tree")
    for _ in generator.write_tree(
        root,
        seed=3,
        subjects=2,
        clips=4,
        height=192,
        width=192,
        frames=(20, 20),
        amplitude=(1.5, 2.0),
        drift=0.5,
        rotation=0.5,
        scale=0.5,
        noise=1.0,
        flicker=0.01,
    ):
        pass
    clips = readers.read("synthetic", root).table
    clip = clips.iloc[0]
    apex = int(clip["apex"] - clip["onset"])
    files = frame_files.numbered(root / clip["frames"])
    pictures = np.stack([frame_files.read(files[clip["onset"] + index]) for index in (0, apex)])
    with h5py.File(paths.truth(root)) as file:
        group = file[clip["clip"]]
        truth = true_flow(group["basis"][:], group["profile"][:], group["head"][:], 0, apex)
        return pictures, truth, group["moving"][:]


@pytest.mark.parametrize(("method", "share"), [("dis", 0.2), ("farneback", 0.5)])
def test_the_error_on_a_moving_face_is_clearly_below_that_of_no_flow(filmed, method, share):
    pictures, truth, moving = filmed
    estimate = estimators.estimator(method, WEIGHTS, "cpu")(pictures)[0]
    error = np.hypot(*(estimate - truth))[moving].mean()
    zero = np.hypot(*truth)[moving].mean()
    assert zero > 0.5
    assert error < share * zero
