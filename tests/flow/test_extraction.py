"""The same bytes from one run, from an interrupted one and with reading, estimating and writing side by side."""

import importlib
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.flow import estimators, extraction
from pipeline.flow.extraction import ahead, extract, key, pairs_kept
from pipeline.storage import clip_store
from pipeline.storage.resume import Pieces, resumable
from tests.test_dvc_yaml import EXEMPT, ROOT, closure, modules

CLIPS, FRAMES, SIZE = 7, 4, 16


class Counting(estimators.FlowEstimator):
    """Flow that depends on the frames and on the batch; remembers how many clips it was given at a time."""

    def __init__(self, weights=None, device="cpu", tf32=False):
        self.settings = {"method": "counting"}
        self.arithmetic = {}
        self.batches = []
        self.threads = set()
        self.fails_at = None

    def __call__(self, frames):
        raise AssertionError("clips come in batches")

    def estimate_clips(self, frames):
        if len(self.batches) == self.fails_at:
            raise KeyboardInterrupt
        self.batches.append(len(frames))
        self.threads.add(threading.get_ident())
        difference = np.diff(frames.astype(np.float32), axis=1)[..., :2].transpose(0, 1, 4, 2, 3)
        return difference / 100 + np.float32(len(frames) / 7)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (CLIPS, FRAMES, SIZE, SIZE, 3), np.uint8)


def written(path: Path, fields) -> bytes:
    clip_store.write_stack(path, "flow", [str(number) for number in range(CLIPS)], fields)
    return path.read_bytes()


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("clips_at_once", [1, 3, 7, 20])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(tmp_path, frames, on_gpu, clips_at_once, done):
    whole = Counting()
    expected = written(tmp_path / "whole.h5", extract(frames, whole, clips_at_once, Pieces(tmp_path / "a")))
    assert sum(whole.batches) == CLIPS and max(whole.batches) == min(clips_at_once, CLIPS)
    done = min(done, len(whole.batches) - 1)

    estimator, reported = Counting(), []
    estimator.on_gpu = on_gpu
    estimator.fails_at = done
    threads = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt) as interrupted, resumable(tmp_path / "b", "k") as pieces:
        written(tmp_path / "half.h5", extract(frames, estimator, clips_at_once, pieces, reported.append))
    # None is left to the garbage collector, although the error still holds all that was going on.
    assert interrupted.traceback and set(threading.enumerate()) <= threads
    with resumable(tmp_path / "b", "k") as pieces:
        assert pieces.finished == set(range(done))
        assert pairs_kept(frames, clips_at_once, pieces) == sum(whole.batches[:done]) * (FRAMES - 1) == sum(reported)
        estimator.fails_at = None
        fields = extract(frames, estimator, clips_at_once, pieces, reported.append)
        assert written(tmp_path / "resumed.h5", fields) == expected
    assert estimator.batches == whole.batches
    assert sum(reported) == CLIPS * (FRAMES - 1)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["lock"]


def test_closed_before_its_end_it_has_no_thread_left(tmp_path, frames):
    threads, estimator = set(threading.enumerate()), Counting()
    estimator.on_gpu = True
    fields = extract(frames, estimator, 1, Pieces(tmp_path))
    next(fields)
    assert set(threading.enumerate()) - threads
    fields.close()
    assert set(threading.enumerate()) <= threads


def test_a_gap_among_the_finished_batches_is_filled(tmp_path, frames):
    whole = list(extract(frames, Counting(), 2, Pieces(tmp_path)))
    (tmp_path / "000001.part").write_bytes(b"damaged")
    estimator, pieces = Counting(), Pieces(tmp_path)
    assert pieces.damaged == [tmp_path / "000001.part"]
    assert pairs_kept(frames, 2, pieces) == 5 * (FRAMES - 1)
    np.testing.assert_array_equal(list(extract(frames, estimator, 2, pieces)), whole)
    assert estimator.batches == [2]


def test_fields_are_half_precision_in_the_order_of_the_clips(tmp_path, frames):
    fields = list(extract(frames, Counting(), 1, Pieces(tmp_path)))
    assert len(fields) == CLIPS
    for field, clip in zip(fields, frames, strict=True):
        assert field.shape == (FRAMES - 1, 2, SIZE, SIZE) and field.dtype == np.float16
        np.testing.assert_array_equal(field, Counting().estimate_clips(clip[None])[0].astype(np.float16))


def test_half_precision_rounds_as_little_as_is_stated():
    values = np.random.default_rng(0).uniform(-2, 2, 1_000_000).astype(np.float32)
    error = np.abs(values - values.astype(np.float16))
    assert error.max() <= 2**-11
    assert error[np.abs(values) < 1].max() <= 2**-12


def test_frames_are_read_from_hdf5(tmp_path, frames):
    with h5py.File(tmp_path / "resized.h5", "w") as file:
        file["frames"] = frames
    with clip_store.reading(tmp_path / "resized.h5") as file:
        estimator = Counting()
        estimator.on_gpu = True
        read = list(extract(file["frames"], estimator, 2, Pieces(tmp_path / "a")))
    np.testing.assert_array_equal(read, list(extract(frames, Counting(), 2, Pieces(tmp_path / "b"))))


def test_on_a_gpu_the_next_batch_is_estimated_while_the_last_one_is_written(tmp_path, frames):
    begun = [threading.Event() for _ in range(CLIPS)]

    class OnGpu(Counting):
        on_gpu = True

        def estimate_clips(self, frames):
            begun[len(self.batches)].set()
            return super().estimate_clips(frames)

    for number, _ in enumerate(extract(frames, OnGpu(), 1, Pieces(tmp_path))):
        if number + 1 < CLIPS:
            assert begun[number + 1].wait(timeout=10)


def test_on_a_cpu_nothing_is_estimated_before_it_is_asked_for(tmp_path, frames):
    estimator = Counting()
    fields = extract(frames, estimator, 1, Pieces(tmp_path))
    next(fields)
    assert estimator.batches == [1] and estimator.threads == {threading.get_ident()}


def test_ahead_passes_items_and_exceptions_on():
    def items():
        yield from range(3)
        raise ValueError("the fourth")

    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead([])) == []
    received = []
    with pytest.raises(ValueError, match="the fourth"):
        for item in ahead(items()):
            received.append(item)
    assert received == [0, 1, 2]


def test_the_key_knows_frames_settings_arithmetic_batches_and_code(tmp_path, monkeypatch):
    file = tmp_path / "resized.h5"
    file.write_bytes(b"frames")
    estimator = Counting()
    keys = [key(file, estimator, 1), key(file, estimator, 2)]
    estimator.settings = {"method": "counting", "weights_sha256": "0"}
    keys.append(key(file, estimator, 1))
    estimator.arithmetic = {"threads": 3}
    keys.append(key(file, estimator, 1))
    file.write_bytes(b"frameS")
    keys.append(key(file, estimator, 1))
    for module in extraction.code(estimator):
        changed = tmp_path / "changed.py"
        changed.write_bytes(module.read_bytes() + b"\n")
        files = [changed if path == module else path for path in extraction.code(estimator)]
        monkeypatch.setattr(extraction, "code", lambda estimator, files=files: files)
        keys.append(key(file, estimator, 1))
        monkeypatch.undo()
    assert len(set(keys)) == len(keys) == 5 + len(extraction.code(estimator))
    assert key(file, estimator, 1) == keys[4]


@pytest.mark.parametrize("method", estimators.METHODS)
def test_the_code_in_the_key_is_all_that_the_flow_depends_on(method):
    kind = importlib.import_module(f"pipeline.flow.{method}.estimator").Estimator
    code = {path.resolve().relative_to(ROOT).as_posix() for path in extraction.code(kind.__new__(kind))}
    assert code == modules(f"pipeline/flow/{method}") | closure("pipeline/flow/extraction.py")
    assert not code & set(EXEMPT)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_several_clips_are_the_clips_one_by_one(method, frames):
    large = frames.repeat(4, axis=2).repeat(4, axis=3)[:2]
    estimator = estimators.estimator(method, Path("weights/none"), "cpu")
    assert estimator.clips_at_once(large.shape[1:]) == 1 and not estimator.on_gpu
    expected = [estimator(clip) for clip in large]
    np.testing.assert_array_equal(estimator.estimate_clips(large), expected)
    assert set(estimator.arithmetic) == {"opencv"}
