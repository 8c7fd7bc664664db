"""The features of a database: the same whoever computes them, kept when interrupted, refused where they are wrong."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import comparators
from pipeline.comparators.protocol import description, side_by_side
from pipeline.comparators.protocol.description import Landmarks, Task
from pipeline.comparators.shared.face_landmarks import model_of, regions_of
from pipeline.errors import InputError
from pipeline.storage import clip_store
from pipeline.storage.digests import sha256
from pipeline.storage.resume import Pieces
from tests.comparators.methods import MEAN_FLOW, add

CLIPS = [f"s{number}/EP01" for number in range(5)]
FIELDS = np.random.default_rng(0).normal(size=(5, 4, 2, 24, 24)).astype(np.float16)


@pytest.fixture
def flow(tmp_path):
    """A file with the flow of five clips."""
    clip_store.write_stack(tmp_path / "flow.h5", "flow", CLIPS, FIELDS)
    return tmp_path / "flow.h5"


def described(task, folder, **settings):
    return np.stack(list(description.features(task, Pieces(folder), **settings)))


def test_features_are_those_of_the_library_whatever_the_number_of_processes(flow, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "STARTUP", 0)
    task = Task("fdm", {"blocks": (2, 3, 3)}, flow)
    alone, together = (described(task, tmp_path / str(workers), workers=workers) for workers in (1, 2))
    expected = np.stack([comparators.describe("fdm", clip, blocks=(2, 3, 3)) for clip in FIELDS])
    np.testing.assert_array_equal(alone, expected)
    np.testing.assert_array_equal(together, expected)


def test_clips_that_are_kept_are_not_described_again(flow, tmp_path):
    task = Task("fdm", {"blocks": (2, 3, 3)}, flow)
    expected = described(task, tmp_path / "whole")
    interrupted = description.features(task, Pieces(tmp_path / "half"), workers=1)
    for _ in range(2):
        next(interrupted)
    interrupted.close()
    told = []
    again = described(task, tmp_path / "half", report=lambda: told.append(1))
    np.testing.assert_array_equal(again, expected)
    assert len(told) == 3


def test_the_key_of_what_is_kept_hangs_on_method_settings_and_clips(flow, tmp_path):
    clip_store.write_stack(tmp_path / "other.h5", "flow", CLIPS, FIELDS[::-1])
    tasks = [
        Task("fdm", {"blocks": (2, 3, 3)}, flow),
        Task("fdm", {"blocks": (2, 3, 4)}, flow),
        Task("mdmo", {}, flow),
        Task("fdm", {"blocks": (2, 3, 3)}, tmp_path / "other.h5"),
    ]
    assert len({task.key() for task in tasks}) == len(tasks) and tasks[0].key() == tasks[0].key()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_clip_that_cannot_be_described_is_named(flow, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(side_by_side, "STARTUP", 0)
    fields = FIELDS.copy()
    fields[3, 1, 0, 5, 5] = np.nan
    clip_store.write_stack(tmp_path / "broken.h5", "flow", CLIPS, fields)
    with pytest.raises(InputError, match=r"broken\.h5, clip s3/EP01: fdm reads flow: expected finite values"):
        described(Task("fdm", {}, tmp_path / "broken.h5"), tmp_path / "kept", workers=workers)


def test_a_grid_larger_than_the_frames_is_an_error_of_the_first_clip(flow, tmp_path):
    with pytest.raises(InputError, match=r"clip s0/EP01: .*expected a grid of 1 to 24 blocks"):
        described(Task("fdm", {"blocks": (2, 25, 3)}, flow), tmp_path / "kept")


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("np.full(3, np.nan)", "clip s0/EP01: expected finite features of mine, found NaN or infinity"),
        ("np.zeros(int(abs(flow[0, 0, 0, 0]) * 100))", "expected features of one shape, found .* of s1/EP01 after"),
    ],
)
def test_what_a_method_of_ones_own_must_not_give_is_refused(flow, tmp_path, monkeypatch, feature, message):
    add(monkeypatch, tmp_path, "mine", MEAN_FLOW.replace("{}", feature))
    with pytest.raises(InputError, match=message):
        described(Task("mine", {}, flow), tmp_path / "kept")


STAND_IN = Path(__file__).parent / "schematic_face.tflite"  # which sees a face in whatever is red


def red(*reds):
    """Frames of clips of two, each of one shade of red, uint8 (N, 2, 24, 24, 3)."""
    frames = np.zeros((len(reds), 2, 24, 24, 3), np.uint8)
    frames[..., 0] = np.array(reds)[:, None, None, None]
    return frames


def landmarks(folder, model=STAND_IN, reds=(255, 200, 150, 255, 255)):
    clip_store.write_stack(folder / "frames.h5", "frames", CLIPS, list(red(*reds)))
    return Landmarks(model, folder / "frames.h5")


def test_regions_are_those_of_the_face_where_there_is_a_model(flow, tmp_path):
    task = Task("mdmo", {}, flow, landmarks(tmp_path))
    task.check_faces()
    regions = regions_of(red(255)[0], model_of(STAND_IN))
    expected = np.stack([comparators.describe("mdmo", clip, regions=regions) for clip in FIELDS])
    np.testing.assert_array_equal(described(task, tmp_path / "kept", workers=1), expected)
    assert not np.array_equal(expected, described(Task("mdmo", {}, flow), tmp_path / "grid", workers=1))
    assert description.attributes(task)["landmarks_sha256"] == sha256(STAND_IN)


def test_without_a_model_and_without_regions_nothing_asks_for_a_face(flow, tmp_path):
    (tmp_path / "none").touch()
    for task in (
        Task("mdmo", {}, flow, landmarks(tmp_path, tmp_path / "none", reds=(0,) * 5)),
        Task("fdm", {"blocks": (2, 3, 3)}, flow, landmarks(tmp_path, reds=(0,) * 5)),
    ):
        task.check_faces()
        plain = Task(task.name, task.settings, flow)
        np.testing.assert_array_equal(
            described(task, tmp_path / f"{task.name}1", workers=1),
            described(plain, tmp_path / f"{task.name}2", workers=1),
        )
        assert "landmarks_sha256" not in description.attributes(task)


def test_all_clips_without_a_face_are_named_before_anything_is_described(flow, tmp_path):
    task = Task("mdmo", {}, flow, landmarks(tmp_path, reds=(255, 0, 255, 10, 255)))
    with pytest.raises(InputError, match=r"2 are not right:\n  s1/EP01: no face .*\n  s3/EP01: no face "):
        task.check_faces()


def test_another_model_uses_nothing_of_what_was_kept(flow, tmp_path):
    (tmp_path / "none").touch()
    with_model, without = landmarks(tmp_path), landmarks(tmp_path, tmp_path / "none")
    assert Task("mdmo", {}, flow, with_model).key() != Task("mdmo", {}, flow, without).key()
    assert Task("fdm", {}, flow, with_model).key() == Task("fdm", {}, flow, without).key()
