"""The stage `stabilise`: what it writes, what it says of clips whose head is lost, and what an interruption costs."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import paths
from pipeline.frames import head_motion
from pipeline.storage import clip_store
from stages import stabilise
from tests.frames.test_head_motion import PATH, filmed, texture
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
CLIPS = ["sub01/EP01", "sub01/EP02", "sub02/EP01"]


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Three clips of moving heads, resized, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    paths.resized("synthetic").parent.mkdir(parents=True)
    rows = "".join(f"{clip},{71 + 100 * row},{81 + 100 * row}\n" for row, clip in enumerate(CLIPS))
    paths.recordings("synthetic").write_text("clip,onset,offset\n" + rows)  # 11 frames, of which 6 were interpolated
    write([filmed(PATH, texture(number)) for number in range(3)])


def write(clips):
    clip_store.write_stack(paths.resized("synthetic"), "frames", CLIPS, clips)


def run(fails=False):
    result = CliRunner().invoke(stabilise.main, ["synthetic"])
    assert (result.exit_code != 0) == fails, result.output
    assert isinstance(result.exception, SystemExit | None)
    return result.output


def array(path, name):
    with clip_store.reading(path) as file:
        assert clip_store.clip_names(file) == CLIPS
        return clip_store.values(file, name)


def test_frames_and_paths_are_those_of_the_library(database):
    run()
    frames, found = (
        array(paths.stabilised("synthetic"), "frames"),
        array(paths.head_motion("synthetic"), "head_motion"),
    )
    assert found.dtype == np.float64 and frames.dtype == np.uint8
    for row, clip in enumerate(array(paths.resized("synthetic"), "frames")):
        np.testing.assert_array_equal(found[row], head_motion.follow(clip, "affine"))
        np.testing.assert_array_equal(frames[row], head_motion.stabilised(clip, found[row]))
    with h5py.File(paths.head_motion("synthetic")) as file:
        assert file["head_motion"].attrs["fit"] == "affine"


def test_head_motion_that_is_kept_leaves_the_bytes_of_the_frames(database):
    shrink(paths.PARAMS, {"head_motion": "keep"})
    run()
    assert paths.stabilised("synthetic").read_bytes() == paths.resized("synthetic").read_bytes()
    assert (array(paths.head_motion("synthetic"), "head_motion") == np.eye(3)[:2]).all()


def test_every_clip_whose_head_is_lost_is_named_with_its_frame_and_nothing_is_written(database):
    black = filmed(PATH, texture(0))
    black[2] = 0
    cut = np.concatenate([filmed(PATH[:3], texture(1)), filmed(PATH[:3], texture(2))])
    write([black, filmed(PATH, texture(3)), cut])
    said = run(fails=True)
    assert "expected 3 clips in which the head can be followed, found 2 in which it cannot" in said
    assert "sub01/EP01: frame 75 shows nothing" in said
    assert "sub02/EP01: frame 277 shows something else than frame 275" in said
    assert "sub01/EP02" not in said and "databases.synthetic.exclude" in said and "head_motion: keep" in said
    assert not paths.stabilised("synthetic").exists() and not paths.head_motion("synthetic").exists()


def test_what_was_followed_before_an_interruption_is_not_followed_again(database, monkeypatch):
    run()
    expected = [paths.stabilised("synthetic").read_bytes(), paths.head_motion("synthetic").read_bytes()]
    follow, followed = head_motion.follow, []

    def interrupted(frames, fit):
        if len(followed) == 2:
            raise KeyboardInterrupt
        followed.append(fit)
        return follow(frames, fit)

    monkeypatch.setattr(head_motion, "follow", interrupted)
    assert CliRunner().invoke(stabilise.main, ["synthetic"]).exit_code != 0
    monkeypatch.setattr(head_motion, "follow", lambda frames, fit: followed.append(fit) or follow(frames, fit))
    run()
    assert followed == ["affine"] * 3
    assert [paths.stabilised("synthetic").read_bytes(), paths.head_motion("synthetic").read_bytes()] == expected


def test_another_setting_uses_nothing_of_an_interrupted_run(database, monkeypatch):
    run()
    affine = array(paths.head_motion("synthetic"), "head_motion")
    shrink(paths.PARAMS, {"head_motion": "translation"})
    run()
    assert not np.array_equal(array(paths.head_motion("synthetic"), "head_motion"), affine)


def test_a_frame_that_has_changed_on_disk_is_an_error_that_names_the_file(database):
    path = paths.resized("synthetic")
    data = bytearray(path.read_bytes())
    data[data.index(texture(2)[:4].tobytes())] ^= 1
    path.write_bytes(data)
    assert "resized.h5: expected the array frames as it was written" in run(fails=True)
