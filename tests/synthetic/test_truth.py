"""The known motion is in register with what the network is shown."""

import h5py
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.frames import resampling
from pipeline.frames.recording import Recording
from pipeline.synthetic import generator, truth

pytestmark = pytest.mark.xdist_group("truth of a tree")  # one process makes what the tests share

SIZE, FRAMES = 96, 20


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "raw"
    settings = {"height": 140, "width": 120, "frames": (20, 26), "amplitude": (2.0, 4.0)}
    still = {"drift": 0.0, "rotation": 0.0, "scale": 0.0, "noise": 0.0, "flicker": 0.0}
    clips = list(generator.write_tree(folder, seed=3, subjects=2, clips=6, **settings, **still))
    return folder, clips


def shown(folder, clip):
    """The clip as the network's stages see it: float (F, S, S)."""
    frames = sorted((folder / "Cropped" / clip).iterdir(), key=lambda path: int(path.stem.removeprefix("reg_img")))
    numbers = [int(path.stem.removeprefix("reg_img")) for path in frames]
    recording = Recording(folder / "Cropped" / clip, numbers[0], numbers[-1])
    return resampling.resize(resampling.interpolate(recording, FRAMES), SIZE).astype(float).mean(axis=-1)


def test_the_region_is_where_the_picture_changes(tree):
    folder, clips = tree
    known = truth.read(folder / "truth.h5", clips, FRAMES, SIZE, head_kept=False)
    for clip in clips:
        region = known[clip].region
        assert region.shape == (SIZE, SIZE) and region.dtype == bool and 0 < region.mean() < 0.6
        change = np.ptp(shown(folder, clip), axis=0)
        inside, outside = change[region].mean(), change[~region].mean()
        assert inside > 2.5 * outside
        # Moved by a tenth of the frame it fits worse, whatever the direction: the register is right.
        for shift, axis in ((9, 0), (-9, 0), (9, 1), (-9, 1)):
            assert change[np.roll(region, shift, axis)].mean() < inside


def test_the_energy_is_when_the_picture_changes(tree):
    folder, clips = tree
    for clip, known in truth.read(folder / "truth.h5", clips, FRAMES, SIZE, head_kept=False).items():
        change = np.abs(np.diff(shown(folder, clip), axis=0)).mean(axis=(1, 2))
        assert known.energy.shape == (FRAMES - 1,)
        assert np.corrcoef(known.energy, change)[0, 1] > 0.6


def test_the_energy_is_the_mean_length_of_the_steps_in_pixels_of_the_resized_frame():
    basis = np.zeros((1, 2, 10, 20), np.float16)
    basis[0, 0, :, :10] = 1.0  # to the right, in the left half of a frame of 20 x 10
    profile = np.array([[0.0], [1.0], [3.0]], np.float32)
    # At 40 px a step of 1 px in 20 px of width is one of 2 px, in half of the frame.
    np.testing.assert_allclose(truth.energy(basis, profile, 3, 40), [1.0, 2.0])
    # Twice as many frames: half the speed in each.
    np.testing.assert_allclose(truth.energy(basis, profile, 5, 40), [0.5, 0.5, 1.0, 1.0])
    basis[0, 0], basis[0, 1] = 0, 1.0
    np.testing.assert_allclose(truth.energy(basis, profile, 3, 40), [4.0, 8.0])


def test_a_head_that_moves_carries_the_region_along_where_its_motion_is_kept():
    moving = np.zeros((40, 60), bool)
    moving[10:20, 10:30] = True
    head = np.tile(np.eye(3, dtype=np.float32)[:2], (5, 1, 1))
    head[:, 0, 2] = [0, 8, 8, 8, 8]  # at once 8 px to the right
    inside = truth.carried(moving, head, 5)
    np.testing.assert_allclose(inside[15, [5, 12, 20, 33, 50]], [0, 0.25, 1, 0.75, 0])
    expected = np.zeros((40, 60), bool)
    expected[10:20, 18:38] = True
    np.testing.assert_array_equal(truth.region(inside, 60), truth.region(expected, 60))
    head[:, 0, 2] = 0
    np.testing.assert_array_equal(truth.carried(moving, head, 5), moving)


def test_the_head_moves_between_recorded_frames_as_the_interpolation_does():
    moving = np.zeros((40, 60), bool)
    moving[10:20, 10:30] = True
    head = np.tile(np.eye(3, dtype=np.float32)[:2], (2, 1, 1))
    head[1, 0, 2] = 8
    # Flow frames start at times 0, 1/4, 1/2 and 3/4: the left edge is at 10, 12, 14 and 16.
    np.testing.assert_allclose(truth.carried(moving, head, 5)[15, [9, 10, 12, 14, 16]], [0, 0.25, 0.5, 0.75, 1])


def test_a_clip_without_truth_is_named(tree):
    folder, clips = tree
    with pytest.raises(InputError, match=r"truth\.h5: expected the motion of 7 clips, found none of sub09/EP99"):
        truth.read(folder / "truth.h5", [*clips, "sub09/EP99"], FRAMES, SIZE, head_kept=False)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"truth\.h5: expected a complete HDF5 file"):
        truth.read(tmp_path / "truth.h5", ["a"], FRAMES, SIZE, head_kept=False)


def test_the_file_is_not_changed(tree):
    folder, clips = tree
    before = (folder / "truth.h5").read_bytes()
    truth.read(folder / "truth.h5", clips, FRAMES, SIZE, head_kept=False)
    assert (folder / "truth.h5").read_bytes() == before
    with h5py.File(folder / "truth.h5") as file:
        assert set(clips) <= {f"{subject}/{name}" for subject in file for name in file[subject]}
