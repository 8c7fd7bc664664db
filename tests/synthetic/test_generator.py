"""The embedded dataset: an official CASME II tree, the same bytes each time, with truth that the frames obey."""

import hashlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.databases.layouts import LAYOUTS
from pipeline.synthetic.generator import write_tree
from pipeline.synthetic.layout_writer import write_annotation
from pipeline.synthetic.motion import first_frame_positions, moved_by, true_flow
from pipeline.synthetic.truth import MOVING_THRESHOLD

pytestmark = pytest.mark.xdist_group("generated trees")  # one process makes what the tests share

TINY = {
    "seed": 0,
    "subjects": 2,
    "clips": 4,
    "height": 96,
    "width": 80,
    "frames": (20, 22),
    "amplitude": (1.0, 3.0),
    "drift": 1.0,
    "rotation": 1.0,
    "scale": 0.5,
    "noise": 1.0,
    "flicker": 0.01,
}
# Sharp, still light: what remains between a frame and its prediction is interpolation and JPEG.
CLEAN = TINY | {"height": 224, "width": 192, "noise": 0.0, "flicker": 0.0, "amplitude": (3.0, 3.0)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    list(write_tree(folder, **TINY))
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    list(write_tree(folder, **CLEAN))
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def annotation(folder: Path) -> pd.DataFrame:
    return pd.read_excel(folder / "CASME2-coding-20140508.xlsx")


def frames(folder: Path, row: pd.Series) -> np.ndarray:
    """float32 (n_frames, H, W) grey."""
    clip = folder / "Cropped" / f"sub{row.Subject:02d}" / row.Filename
    numbers = range(row.OnsetFrame, row.OffsetFrame + 1)
    return np.stack([cv2.imread(str(clip / f"reg_img{n}.jpg"), cv2.IMREAD_GRAYSCALE) for n in numbers]).astype("f4")


def truth(folder: Path, row: pd.Series) -> dict[str, np.ndarray]:
    with h5py.File(folder / "truth.h5") as file:
        return {name: item[()] for name, item in file[f"sub{row.Subject:02d}/{row.Filename}"].items()}


def test_equal_arguments_give_equal_bytes_and_another_seed_does_not(tiny, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "getNumThreads", lambda: 3)  # clips at a time
        list(write_tree(tmp_path / "again", **TINY))
    list(write_tree(tmp_path / "other", **TINY | {"seed": 1}))
    first, other = digests(tiny), digests(tmp_path / "other")
    assert digests(tmp_path / "again") == first
    assert not set(first.values()) & set(other.values())


def test_nothing_written_depends_on_the_clock(tiny, tmp_path, monkeypatch):
    import datetime
    import time

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime(2035, 5, 17, 3, 2, 1, tzinfo=tz)

    monkeypatch.setattr(datetime, "datetime", Later)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    rows = [tuple(None if pd.isna(v) else v for v in row) for row in annotation(tiny).itertuples(index=False)]
    write_annotation(tmp_path / "later.xlsx", rows, LAYOUTS["casme2"])
    assert (tmp_path / "later.xlsx").read_bytes() == (tiny / "CASME2-coding-20140508.xlsx").read_bytes()


def test_a_face_depends_on_the_seed_and_the_subject_alone(tiny, tmp_path):
    list(write_tree(tmp_path, **TINY | {"subjects": 3, "clips": 10, "frames": (4, 6)}))
    first, place = {}, {}
    for folder in (tiny, tmp_path):
        for index, row in annotation(folder).iterrows():
            place.setdefault((folder, row.Subject), index)
            first.setdefault((folder, row.Subject), frames(folder, row)[0])
    assert place[tiny, 2] != place[tmp_path, 2]
    same = np.abs(first[tiny, 2] - first[tmp_path, 2]).mean()
    other = np.abs(first[tiny, 2] - first[tmp_path, 1]).mean()
    assert same < 0.5 * other  # the framing of a clip still differs by a pixel or so


def test_layout_is_that_of_casme2(tiny):
    assert {path.name for path in tiny.iterdir()} == {
        "Cropped",
        "CASME2-coding-20140508.xlsx",
        "truth.h5",
        "contact_sheet.png",
    }
    table = annotation(tiny)
    assert [None if str(c).startswith("Unnamed") else c for c in table.columns] == [
        "Subject",
        "Filename",
        None,
        "OnsetFrame",
        "ApexFrame",
        "OffsetFrame",
        None,
        "Action Units",
        "Estimated Emotion",
    ]
    assert table["Subject"].dtype == np.int64
    assert table.iloc[:, [2, 6]].isna().all(axis=None)
    assert table["Filename"].str.fullmatch(r"EP\d\d_\d\df?").all()
    assert not table.duplicated(["Subject", "Filename"]).any()
    for _, row in table.iterrows():
        assert row.OnsetFrame < row.ApexFrame < row.OffsetFrame
        assert 20 <= row.OffsetFrame - row.OnsetFrame + 1 <= 22
        folder = tiny / "Cropped" / f"sub{row.Subject:02d}" / row.Filename
        expected = {f"reg_img{n}.jpg" for n in range(row.OnsetFrame, row.OffsetFrame + 1)}
        assert {path.name for path in folder.iterdir()} == expected
        assert cv2.imread(str(folder / f"reg_img{row.OnsetFrame}.jpg")).shape == (96, 80, 3)
    listed = {f"sub{row.Subject:02d}/{row.Filename}" for _, row in table.iterrows()}
    found = {path.relative_to(tiny / "Cropped").as_posix() for path in (tiny / "Cropped").glob("*/*")}
    assert found == listed


def test_frame_numbers_gain_digits_within_clips(tiny):
    spans = [(row.OnsetFrame, row.OffsetFrame) for _, row in annotation(tiny).iterrows()]
    assert any(onset <= 9 and offset >= 10 for onset, offset in spans)
    assert any(onset <= 99 and offset >= 100 for onset, offset in spans)


def test_clip_ids_are_yielded_once_their_frames_are_there(tmp_path):
    seen = []
    for clip in write_tree(tmp_path, **TINY | {"frames": (3, 3)}):
        assert len(list((tmp_path / "Cropped" / clip).glob("reg_img*.jpg"))) == 3
        assert not (tmp_path / "CASME2-coding-20140508.xlsx").exists()
        seen.append(clip)
    assert seen == sorted(seen) and len(set(seen)) == 4
    with h5py.File(tmp_path / "truth.h5") as file:
        assert [f"{subject}/{name}" for subject in file for name in file[subject]] == seen


def test_truth_has_the_agreed_shapes(tiny):
    for _, row in annotation(tiny).iterrows():
        clip = truth(tiny, row)
        n_frames, units = row.OffsetFrame - row.OnsetFrame + 1, str(row["Action Units"]).split("+")
        assert set(clip) == {"basis", "profile", "head", "moving"}
        assert clip["basis"].shape == (len(units), 2, 96, 80) and clip["basis"].dtype == np.float16
        assert clip["profile"].shape == (n_frames, len(units)) and clip["profile"].dtype == np.float32
        assert clip["head"].shape == (n_frames, 2, 3) and clip["head"].dtype == np.float32
        assert clip["moving"].shape == (96, 80) and clip["moving"].dtype == bool
        assert not clip["profile"][0].any()
        np.testing.assert_array_equal(clip["head"][0], np.eye(3)[:2])
        peak = np.hypot(*clip["basis"].astype("f4").transpose(1, 0, 2, 3)).max((1, 2))
        np.testing.assert_allclose(peak, 1, atol=2e-3)


def test_amplitude_is_in_pixels_of_the_reference_size(clean):
    for _, row in annotation(clean).iterrows():
        clip = truth(clean, row)
        assert 0.85 * 3 < clip["profile"].max() <= 3
        assert row.ApexFrame - row.OnsetFrame == clip["profile"].sum(1).argmax()


def motion_of_the_head(folder: Path, amounts: dict[str, float]) -> list[np.ndarray]:
    """The map of the head in each frame of each clip, (n_frames, 2, 3)."""
    list(write_tree(folder, **TINY | {"drift": 0.0, "rotation": 0.0, "scale": 0.0} | amounts))
    return [truth(folder, row)["head"] for _, row in annotation(folder).iterrows()]


def test_drift_shifts_the_head_by_pixels_of_the_reference_size(tmp_path):
    for head in motion_of_the_head(tmp_path, {"drift": 1.0}):
        np.testing.assert_array_equal(head[:, :, :2], np.broadcast_to(np.eye(2), (len(head), 2, 2)))
        assert 0.39 < np.hypot(*head[:, :, 2].T).max() * 192 / 80 <= 1.0001


def test_rotation_turns_the_head_by_pixels_at_the_edge_of_a_face_of_the_reference_size(tmp_path):
    for head in motion_of_the_head(tmp_path, {"rotation": 2.0}):
        turn = np.arctan2(head[:, 1, 0], head[:, 0, 0])
        assert 0.39 * 2 < np.abs(turn).max() * 96 <= 2.0001
        np.testing.assert_allclose(np.linalg.det(head[:, :, :2]), 1, atol=1e-6)
        centre = [(80 - 1) / 2, (96 - 1) / 2]
        # The face is near the centre of the frame, and turns about its own.
        np.testing.assert_allclose(head[:, :, :2] @ centre + head[:, :, 2] - centre, 0, atol=0.2)


def test_scale_enlarges_the_head_by_pixels_at_the_edge_of_a_face_of_the_reference_size(tmp_path):
    for head in motion_of_the_head(tmp_path, {"scale": 2.0}):
        np.testing.assert_array_equal(head[:, 0, 1], 0)
        np.testing.assert_array_equal(head[:, 0, 0], head[:, 1, 1])
        assert 0.39 * 2 < np.abs(head[:, 0, 0] - 1).max() * 96 <= 2.0001


def test_turning_the_head_changes_nothing_else_that_is_drawn(tmp_path):
    found = {}
    for name, amounts in {"still": {"rotation": 0.0, "scale": 0.0}, "turning": {"rotation": 1.5, "scale": 1.0}}.items():
        list(write_tree(tmp_path / name, **TINY | amounts))
        found[name] = [truth(tmp_path / name, row) for _, row in annotation(tmp_path / name).iterrows()]
    for still, turning in zip(found["still"], found["turning"], strict=True):
        for kept in ("basis", "profile", "moving"):
            np.testing.assert_array_equal(still[kept], turning[kept])
        assert np.abs(still["head"] - turning["head"]).max() > 0.01


def test_moving_is_where_the_expression_goes_beyond_the_threshold(clean):
    row = annotation(clean).iloc[0]
    clip = truth(clean, row)
    displacement = np.einsum("ta,achw->tchw", clip["profile"], clip["basis"].astype("f4"))
    np.testing.assert_array_equal(
        clip["moving"], np.hypot(*displacement.transpose(1, 0, 2, 3)).max(0) > MOVING_THRESHOLD
    )
    assert 0.02 < clip["moving"].mean() < 0.6
    with h5py.File(clean / "truth.h5") as file:
        assert file.attrs["moving_threshold"] == pytest.approx(MOVING_THRESHOLD)


def test_first_frame_positions_invert_the_motion(clean):
    for _, row in annotation(clean).iterrows():
        clip = truth(clean, row)
        apex = row.ApexFrame - row.OnsetFrame
        expression = np.tensordot(clip["profile"][apex], clip["basis"].astype("f4"), axes=1)
        position = first_frame_positions(expression, clip["head"][apex])
        forward = moved_by(clip["head"][apex], position + bilinear(expression, *position))
        height, width = expression.shape[1:]
        residual = forward - np.stack(np.meshgrid(np.arange(width), np.arange(height)))
        assert np.hypot(*residual).max() < 0.01


def test_frames_obey_the_truth_and_nothing_near_it(clean):
    inner = np.s_[6:-6, 6:-6]  # what drifts in from outside the first frame is not in it
    for _, row in annotation(clean).iterrows():
        clip, film = truth(clean, row), frames(clean, row)
        apex, last = row.ApexFrame - row.OnsetFrame, len(film) - 1

        def error(t, expression_scale, head_scale, clip=clip, film=film):
            expression = np.tensordot(clip["profile"][t], clip["basis"].astype("f4"), axes=1) * expression_scale
            still = np.eye(3, dtype=np.float32)[:2]
            position = first_frame_positions(expression, still + (clip["head"][t] - still) * head_scale)
            predicted = cv2.remap(film[0], *position, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            return np.abs(predicted - film[t])[inner]

        moving = clip["moving"][inner]
        for t in (apex, last):
            assert error(t, 1, 1).mean() < 1.0  # JPEG and interpolation
        right = error(apex, 1, 1)[moving].mean()
        assert right < 0.4 * error(apex, 0, 1)[moving].mean()
        for near in ((0.9, 1), (1.1, 1), (1, 0.5), (1, 1.5)):
            assert right < error(apex, *near)[moving].mean()


def test_optical_flow_agrees_with_the_truth(clean):
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)
    estimator.setVariationalRefinementIterations(15)
    for _, row in annotation(clean).iterrows():
        clip, film = truth(clean, row), frames(clean, row).astype(np.uint8)
        apex, last = row.ApexFrame - row.OnsetFrame, len(film) - 1
        for i, j in ((0, apex), (apex, last)):
            expected = true_flow(clip["basis"], clip["profile"], clip["head"], i, j)
            found = estimator.calc(film[i], film[j], None).transpose(2, 0, 1)
            error, motion = np.hypot(*(found - expected)), np.hypot(*expected)
            assert error[clip["moving"]].mean() < 0.25 * motion[clip["moving"]].mean()


def test_noise_and_flicker_have_the_strength_asked_for(tmp_path):
    still = TINY | {"amplitude": (0.0, 0.0), "drift": 0.0, "rotation": 0.0, "scale": 0.0, "height": 96, "width": 96}
    list(write_tree(tmp_path / "noise", **still | {"noise": 4.0, "flicker": 0.0}))
    film = frames(tmp_path / "noise", annotation(tmp_path / "noise").iloc[0])
    bright = film.mean(0) > 30  # not where black clips the noise
    luma = 4.0 * np.hypot(np.hypot(0.299, 0.587), 0.114)
    assert film.std(0)[bright].mean() == pytest.approx(luma, rel=0.15)
    list(write_tree(tmp_path / "flicker", **still | {"noise": 0.0, "flicker": 0.05}))
    table = annotation(tmp_path / "flicker")
    level = [frames(tmp_path / "flicker", row).mean((1, 2)) for _, row in table.iterrows()]
    assert np.std(np.concatenate([values / values.mean() for values in level])) == pytest.approx(0.05, rel=0.3)


def test_a_wide_picture_and_the_shortest_clips_work(tmp_path):
    clips = list(write_tree(tmp_path, **TINY | {"height": 96, "width": 160, "frames": (3, 4)}))
    assert len(clips) == 4
    for _, row in annotation(tmp_path).iterrows():
        film = frames(tmp_path, row)
        assert len(film) in (3, 4) and film.shape[1:] == (96, 160)
        assert row.OnsetFrame < row.ApexFrame < row.OffsetFrame


def test_contact_sheet_is_a_picture(tiny):
    sheet = cv2.imread(str(tiny / "contact_sheet.png"))
    assert sheet is not None and sheet.shape[0] > 2 * 180 and sheet.std() > 20


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed: expected 0 or more; found -1"),
        ({"subjects": 0}, "subjects: expected 1 or more"),
        ({"subjects": 5}, "clips: expected 5 or more.*found 4"),
        ({"clips": 3}, "clips: expected 4 or more.*found 3"),
        ({"height": 63}, "height: expected 64 or more; found 63"),
        ({"width": 10}, "width: expected 64 or more"),
        ({"frames": (2, 5)}, "frames: expected"),
        ({"frames": (6, 5)}, "frames: expected"),
        ({"amplitude": (3.0, 1.0)}, "amplitude: expected"),
        ({"amplitude": (-1.0, 1.0)}, "amplitude: expected"),
        ({"amplitude": (1.0, 9.0)}, "amplitude: expected"),
        ({"amplitude": (1.0, float("nan"))}, "amplitude: expected"),
        ({"drift": -0.1}, "drift: expected"),
        ({"rotation": -0.1}, "rotation: expected 0 to 16; found -0.1"),
        ({"rotation": float("nan")}, "rotation: expected"),
        ({"scale": 17.0}, "scale: expected 0 to 16; found 17.0"),
        ({"noise": -1.0}, "noise: expected"),
        ({"noise": float("nan")}, "noise: expected"),
        ({"flicker": 2.0}, "flicker: expected"),
    ],
)
def test_wrong_arguments_are_named_at_once(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_tree(tmp_path / "tree", **TINY | wrong)
    assert not (tmp_path / "tree").exists()


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileExistsError, match=r"mine\.txt"):
        write_tree(tmp_path, **TINY)


def bilinear(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An independent sampler: float64, one corner at a time."""
    height, width = field.shape[1:]
    x, y = np.clip(x.astype(float), 0, width - 1), np.clip(y.astype(float), 0, height - 1)
    total = np.zeros((2, *x.shape))
    for row in (np.floor(y), np.floor(y) + 1):
        for column in (np.floor(x), np.floor(x) + 1):
            weight = np.clip(1 - np.abs(x - column), 0, None) * np.clip(1 - np.abs(y - row), 0, None)
            r, c = np.minimum(row, height - 1).astype(int), np.minimum(column, width - 1).astype(int)
            total += weight * field[:, r, c]
    return total
