"""Clips that lack frames, from the copy through the stages to the frames that the flow is estimated from."""

import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.storage import clip_store
from stages import index, interpolate
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
STEP, LAST = 4, 40  # frame n is grey with the value STEP n


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a study of a table: four clips of 41 frames, two of which lack some, numbered from 10."""
    missing = {"a/1": (), "a/2": (15, 16, 17), "b/1": (10, 11, 30), "b/2": (50,)}
    rows = ["clip,subject,label,onset,apex,offset,frames"]
    for number, (clip, absent) in enumerate(missing.items()):
        folder = tmp_path / "raw" / clip
        folder.mkdir(parents=True)
        for frame in range(10, 11 + LAST):
            if frame not in absent:
                picture = np.full((64, 64, 3), STEP * (frame - 10) + number, np.uint8)
                assert cv2.imwrite(str(folder / f"{frame}.png"), picture)
        rows.append(f"{clip},{clip[0]},{'positive' if clip[2] == '1' else 'negative'},10,30,50,{clip}")
    (tmp_path / "raw/clips.csv").write_text("\n".join(rows) + "\n")
    folder = tmp_path / "checkout"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/none").touch()
    shutil.copy(ROOT / "params.yaml", folder)
    shrink(folder / "params.yaml")
    shrink(folder / "params.yaml", {"interpolation": {"frames": 21}})
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)
    use = ["use", "table", "--from", str(tmp_path / "raw"), "--flow", "dis", "--missing-frames", "3"]
    result = CliRunner().invoke(main, use)
    assert not result.exit_code, result.output
    return folder


def stage(command, *arguments, fails=False):
    result = CliRunner().invoke(command, list(arguments))
    assert bool(result.exit_code) == fails, result.output
    return result.output


def test_gaps_are_interpolated_over_and_counted(checkout):
    output = stage(index.main, "table")
    assert "table: a/2: frames 15-17 of 10-50 missing\n" in output
    assert "table: b/1: frames 10-11, 30 of 10-50 missing, onset 12 instead of 10, apex 29 instead of 30\n" in output
    assert "table: b/2: frame 50 of 10-50 missing, offset 49 instead of 50\n" in output
    table = pd.read_csv("data/table/recordings.csv").set_index("clip")
    assert table["n_missing"].to_dict() == {"a/1": 0, "a/2": 3, "b/1": 3, "b/2": 1}

    stage(interpolate.main, "table")
    with h5py.File("data/table/interpolated.h5") as file:
        for number, clip in enumerate(table.index):
            onset, offset = table.loc[clip, ["onset", "offset"]]
            exact = STEP * (onset - 10 + np.arange(21) * (offset - onset) / 20) + number  # a straight line
            frames = clip_store.values(file, clip)
            assert np.abs(frames - exact[:, None, None, None]).max() <= 0.5


def test_index_refuses_what_is_not_allowed(checkout):
    for allowed, defects in ((2, "1 defect in"), (1, "2 defects in"), ("refuse", "3 defects in")):
        shrink(Path("params.yaml"), {"databases": {"table": {"missing_frames": allowed}}})
        assert f"{defects} this copy of table:" in stage(index.main, "table", fails=True)
    assert not Path("data/table/recordings.csv").exists()


def test_a_frame_that_vanishes_after_the_check_is_an_error_where_the_clip_had_none_missing(checkout):
    stage(index.main, "table")
    (checkout.parent / "raw/a/1/20.png").unlink()
    assert "frame 20 is missing" in stage(interpolate.main, "table", fails=True)
