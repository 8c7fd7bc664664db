"""Outputs appear completely or not at all."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.storage import clip_store
from pipeline.storage.outputs import staged


def test_all_targets_appear_at_the_end_and_nothing_else_stays(tmp_path):
    targets = [tmp_path / "out/a.txt", tmp_path / "other/folder"]
    with staged(tmp_path / ".partial/stage", *targets) as [file, folder]:
        file.write_text("a")
        folder.mkdir()
        (folder / "b.txt").write_text("b")
        assert not any(target.exists() for target in targets)
    assert targets[0].read_text() == "a"
    assert (targets[1] / "b.txt").read_text() == "b"
    assert not (tmp_path / ".partial").exists()


def test_a_target_that_exists_is_replaced(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with staged(tmp_path / ".partial/stage", folder) as [new]:
        new.mkdir()
        (new / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_an_exception_leaves_the_old_target_and_no_partial_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), staged(tmp_path / ".partial/stage", target) as [file]:
        file.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_run_left_is_removed_but_not_what_another_stage_writes(tmp_path):
    stale = tmp_path / ".partial/stage/0"
    stale.mkdir(parents=True)
    (stale / "stale.h5").touch()
    other = tmp_path / ".partial/other/0/being-written"
    other.parent.mkdir(parents=True)
    other.touch()
    with staged(tmp_path / ".partial/stage", tmp_path / "a.txt") as [file]:
        assert not (stale / "stale.h5").exists()
        file.write_text("a")
    assert other.exists()
    assert not (tmp_path / ".partial/stage").exists()


def test_a_full_disk_is_one_clear_error(tmp_path):
    with (
        pytest.raises(InputError, match=r"a\.txt.*No space left.*Free disk space"),
        staged(tmp_path / ".partial/stage", tmp_path / "a.txt") as [file],
    ):
        file.touch()
        raise OSError(28, os.strerror(28))
    assert list(tmp_path.iterdir()) == []


def test_another_operating_system_error_is_passed_on(tmp_path):
    with pytest.raises(PermissionError), staged(tmp_path / ".partial/stage", tmp_path / "a.txt"):
        raise PermissionError(13, "no")


def _write_more_than_allowed(folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    with staged(folder / ".partial/stage", folder / "clips.h5") as [path]:
        arrays = (np.full((100, 100), value, np.uint8) for value in range(100))
        clip_store.write_stack(path, "frames", [str(n) for n in range(100)], arrays)


def test_hdf5_that_does_not_fit_is_the_same_error(tmp_path):
    # A limit on the size of files makes the operating system refuse a real write of the HDF5 library.
    code = (
        f"import pathlib, {__name__.split('.')[-1]} as t; t._write_more_than_allowed(pathlib.Path({str(tmp_path)!r}))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path.cwd())])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert "InputError: cannot write" in result.stderr and "clips.h5" in result.stderr
    assert list(tmp_path.iterdir()) == []
