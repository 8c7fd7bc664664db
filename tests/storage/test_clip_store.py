"""HDF5 on disk: what is written comes back, equal clips give equal bytes, a broken file is one clear error."""

import errno
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.storage import clip_store

CLIPS = ["sub01/EP01", "sub01/EP02", "sub02/EP01"]


def stack(path, arrays=None, **attributes):
    arrays = arrays or [np.full((4, 3), n, np.uint8) for n in range(3)]
    clip_store.write_stack(path, "frames", CLIPS, iter(arrays), attributes)
    return path


def test_a_stack_comes_back_in_order_with_names_and_attributes(tmp_path):
    with clip_store.reading(stack(tmp_path / "a.h5", method="dis", stride=2)) as file:
        assert clip_store.clip_names(file) == CLIPS
        assert file["frames"].dtype == np.uint8
        assert file["frames"][:, 0, 0].tolist() == [0, 1, 2]
        assert dict(file["frames"].attrs) == {"method": "dis", "stride": 2}
        assert clip_store.rows_of(["sub02/EP01", "sub01/EP01"], clip_store.clip_names(file)) == [2, 0]


def test_arrays_come_back_by_clip_name(tmp_path):
    arrays = {name: np.full((n + 1, 2), n, np.uint8) for n, name in enumerate(CLIPS)}
    clip_store.write_arrays(tmp_path / "a.h5", arrays.items())
    with clip_store.reading(tmp_path / "a.h5") as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name][:], array)


def flipped(path, content, offset):
    """The file with one bit changed, `offset` bytes into the first place where `content` stands."""
    data = bytearray(path.read_bytes())
    data[data.index(content) + offset] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("row", [0, 2])
def test_a_byte_of_an_array_that_has_changed_on_disk_is_an_error_by_name(tmp_path, row):
    arrays = [np.random.default_rng(n).integers(0, 255, (40, 30), np.uint8) for n in range(3)]
    flipped(stack(tmp_path / "a.h5", arrays), arrays[row].tobytes(), 777)
    with clip_store.reading(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(clip_store.values(file, "frames", 1), arrays[1])
        with pytest.raises(InputError, match=r"a\.h5: expected the array frames as it was written, .*Delete it"):
            clip_store.values(file, "frames", row)


def test_a_byte_of_a_clip_by_itself_that_has_changed_on_disk_is_an_error_by_name(tmp_path):
    array = np.random.default_rng(0).normal(size=(40, 3))
    clip_store.write_arrays(tmp_path / "a.h5", [("sub01/EP01", array)])
    flipped(tmp_path / "a.h5", array.tobytes(), 100)
    with (
        clip_store.reading(tmp_path / "a.h5") as file,
        pytest.raises(InputError, match=r"a\.h5: expected the array sub01/EP01 as it was written"),
    ):
        clip_store.values(file, "sub01/EP01")


def test_a_changed_name_of_a_clip_is_an_error_and_no_other_name(tmp_path):
    flipped(stack(tmp_path / "a.h5"), b"sub02/EP01", 4)
    with (
        clip_store.reading(tmp_path / "a.h5") as file,
        pytest.raises(InputError, match=r"a\.h5: expected the array clip"),
    ):
        clip_store.clip_names(file)


def test_an_array_that_is_not_there_is_named(tmp_path):
    with clip_store.reading(stack(tmp_path / "a.h5")) as file, pytest.raises(InputError, match=r"a\.h5: .*array flow"):
        clip_store.values(file, "flow")


def test_names_that_are_not_ascii_come_back(tmp_path):
    clips = ["sub01/EP01", "sub01/émotion", "sub02/笑"]
    clip_store.write_stack(tmp_path / "a.h5", "frames", clips, iter(np.zeros((3, 2), np.uint8)))
    with clip_store.reading(tmp_path / "a.h5") as file:
        assert clip_store.clip_names(file) == clips


def test_equal_clips_give_equal_bytes_under_another_name(tmp_path):
    one, two = stack(tmp_path / "a.h5", b=1, a=2), stack(tmp_path / "b.h5", a=2, b=1)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("count", [2, 4])
def test_a_clip_too_few_or_too_many_is_an_error(tmp_path, count):
    with pytest.raises(ValueError, match="zip"):
        stack(tmp_path / "a.h5", [np.zeros(2, np.uint8)] * count)


def test_a_clip_of_another_shape_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match="sub01/EP02"):
        stack(tmp_path / "a.h5", [np.zeros(2), np.zeros(3), np.zeros(2)])


def test_one_clip_is_in_memory_at_a_time(tmp_path):
    clip = 1_000_000
    tracemalloc.start()
    clip_store.write_stack(
        tmp_path / "a.h5", "frames", [str(n) for n in range(50)], (np.full(clip, n, np.uint8) for n in range(50))
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * clip


@pytest.mark.parametrize("kept", [0, 10, 500, -1])
def test_a_truncated_file_is_one_clear_error(tmp_path, kept):
    path = stack(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"a\.h5: expected a complete HDF5 file.*dvc repro"), clip_store.reading(path):
        pass


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"a\.h5.*no such file"), clip_store.reading(tmp_path / "a.h5"):
        pass


def test_a_clip_that_is_not_in_the_file_is_named(tmp_path):
    with clip_store.reading(stack(tmp_path / "a.h5")) as file, pytest.raises(InputError, match="sub09/EP09"):
        clip_store.rows_of(["sub01/EP01", "sub09/EP09"], clip_store.clip_names(file))


def test_files_are_opened_read_only(tmp_path):
    path = stack(tmp_path / "a.h5")
    before = path.read_bytes()
    with clip_store.reading(path) as file, pytest.raises(Exception, match=r"(?i)no write intent|read"):
        file.create_dataset("more", data=[1])
    assert path.read_bytes() == before
    with h5py.File(path) as file:
        assert "more" not in file


# --- files that cannot be opened, and may be good ---------------------------------------------------------------------


def refusal(path) -> str:
    with pytest.raises(InputError) as error, clip_store.reading(path):
        pass
    return str(error.value)


@pytest.fixture
def stored(tmp_path):
    clip_store.write_arrays(tmp_path / "flow.h5", [("a", np.zeros(3))])
    return tmp_path / "flow.h5"


def test_a_file_that_another_process_has_locked_is_not_called_damaged(stored):
    hold = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print('ready', flush=True); input()"
    command = [sys.executable, "-c", hold, str(stored)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        said = refusal(stored)
        process.communicate("\n")
    assert f"locked by process {process.pid} ({sys.executable} -c import fcntl" in said
    assert "HDF5_USE_FILE_LOCKING=FALSE" in said and "keep it" in said and "elete" not in said
    with clip_store.reading(stored) as file:
        assert clip_store.values(file, "a").shape == (3,)


@pytest.mark.parametrize(
    ("number", "message", "reason"),
    [
        (errno.ENOLCK, "unable to lock file, errno = 37", "the file system has no locks (No locks available)"),
        (errno.EAGAIN, "unable to lock file, errno = 11", "locked by another process, here or on another machine"),
        (errno.EACCES, "unable to open file", "cannot be opened (Permission denied)"),
        (errno.EIO, "file read failed", "cannot be opened (Input/output error)"),
    ],
)
def test_only_what_could_be_read_and_is_wrong_is_to_be_deleted(stored, monkeypatch, number, message, reason):
    def fail(*_):
        raise OSError(number, message)

    monkeypatch.setattr(clip_store.h5py, "File", fail)
    said = refusal(stored)
    assert reason in said and "keep it" in said and "elete" not in said
    assert ("HDF5_USE_FILE_LOCKING=FALSE" in said) == ("lock" in message)


def test_a_damaged_file_is_to_be_deleted_and_a_missing_one_to_be_made(stored):
    stored.write_bytes(stored.read_bytes()[:-100])
    assert "no complete HDF5 file" in refusal(stored) and "Delete it" in refusal(stored)
    stored.unlink()
    assert "found no such file. Run `dvc repro`" in refusal(stored)
