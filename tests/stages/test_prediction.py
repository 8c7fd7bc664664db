"""`python -m pipeline predict` with the networks of a tiny study."""

import json
import re
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import prediction
from pipeline.errors import InputError
from pipeline.learning import training
from pipeline.learning.augmentation import TEST_VIEW
from pipeline.learning.training import TrainingSettings
from pipeline.networks.stanet import trained
from tests.stages.conftest import copy_of
from tests.tiny import TINY

CLASSES = ["disgust", "happiness", "repression", "surprise"]
SUBJECTS = TINY["subjects"]


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory):
    """A finished study that tests only read."""
    return copy_of(finished, tmp_path_factory.mktemp("prediction"))


@pytest.fixture
def study(shared, monkeypatch):
    """The finished study, as the current folder."""
    monkeypatch.chdir(shared.root)
    return shared


@pytest.fixture
def changed(workspace, monkeypatch):
    """A study of its own to change, as the current folder."""
    monkeypatch.chdir(workspace.root)
    return workspace


def clips(workspace):
    return pd.read_csv(workspace.root / "data/synthetic/clips.csv")


def first(workspace):
    """A clip of the dataset: its row in the table."""
    return next(clips(workspace).itertuples())


def folder_of(workspace, row) -> Path:
    return workspace.root / "data/raw/synthetic" / row.frames


def elsewhere(workspace, row, target) -> Path:
    """Frames of a clip of the dataset, onset to offset, in a folder that is not the dataset's."""
    for number in range(row.onset, row.offset + 1):
        target.mkdir(exist_ok=True)
        shutil.copy2(folder_of(workspace, row) / f"reg_img{number}.jpg", target)
    return target


def test_clips_of_the_dataset_get_the_probabilities_of_their_fold(study):
    """The order of sums depends on what else is in the batch: float32 rounding is all that may differ."""
    table = pd.read_csv("results/synthetic/predictions.csv")
    for row in table.itertuples():
        found = prediction.predict(row.clip)
        assert list(found.probabilities) == CLASSES
        expected = [getattr(row, f"p_{name}") for name in CLASSES]
        np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-5)
        assert found.predicted == row.predicted and found.clip.label == row.label
        assert found.networks == (Path(f"models/synthetic/{row.subject}.pt"),) and found.held_out == (row.subject,)


def test_the_folder_of_a_clip_is_the_clip_under_every_name(study, tmp_path):
    row = first(study)
    expected = prediction.predict(row.clip)
    (tmp_path / "link").symlink_to(folder_of(study, row))
    for name in (f"data/raw/synthetic/{row.frames}", folder_of(study, row), tmp_path / "link"):
        assert prediction.predict(str(name)) == expected


def test_a_new_clip_gets_the_mean_of_all_networks(study, tmp_path):
    row = first(study)
    found = prediction.predict(str(elsewhere(study, row, tmp_path / "new")), picture=tmp_path / "new.svg")
    with h5py.File("data/synthetic/flow.h5") as file:
        flow = torch.from_numpy(file["flow"][:1])
    shown = TrainingSettings(epochs=1, lr=1.0, batch_size=1, views=(TEST_VIEW,), crop=56)
    each = []
    for subject in SUBJECTS:
        network = trained.load(Path(f"models/synthetic/{subject}.pt")).network
        each.append(training.predict(network, flow, shown, torch.device("cpu"))[0])
    np.testing.assert_allclose(list(found.probabilities.values()), np.mean(each, axis=0), rtol=1e-5)
    assert np.ptp(each, axis=0).max() > 1e-3  # the networks do not agree by themselves
    assert found.held_out == tuple(SUBJECTS) and found.clip.label is None
    assert (found.onset, found.offset) == (row.onset, row.offset)
    assert "Mean of 3 networks" in prediction.as_text(found)
    assert "<svg" in (tmp_path / "new.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.svg"]


def test_a_video_is_its_frames(study, tmp_path):
    row = first(study)
    frames = [cv2.imread(str(path)) for path in sorted(elsewhere(study, row, tmp_path / "new").iterdir())]
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 100, frames[0].shape[1::-1])
    for frame in frames:
        video.write(frame)
    video.release()
    decoded = cv2.VideoCapture(str(tmp_path / "clip.avi"))
    (tmp_path / "decoded").mkdir()
    for number in range(1, len(frames) + 1):
        cv2.imwrite(str(tmp_path / f"decoded/{number}.png"), decoded.read()[1])
    picture = tmp_path / "clip.png"
    for onset, offset in ((None, None), (2, len(frames) - 3)):
        of_video, of_frames = (
            prediction.predict(str(tmp_path / name), onset=onset, offset=offset, picture=picture)
            for name in ("clip.avi", "decoded")
        )
        assert of_video.probabilities == of_frames.probabilities
        assert (of_video.onset, of_video.offset) == (of_frames.onset, of_frames.offset)


def test_the_square_of_a_face_cuts_the_frames_as_in_the_stage(changed, tmp_path):
    row = first(changed)
    changed.edit("face_boxes: {}", f"face_boxes: {{{row.clip}: [8, 10, 60, 60]}}")
    elsewhere(changed, row, tmp_path / "cut")
    for path in (tmp_path / "cut").iterdir():
        cv2.imwrite(str(path.with_suffix(".png")), cv2.imread(str(path))[10:70, 8:68])
        path.unlink()
    cropped = prediction.predict(row.clip, face="crop")
    model = Path(f"models/synthetic/{row.subject}.pt")
    same = prediction.predict(str(tmp_path / "cut"), model=model, picture=tmp_path / "cut.png")
    assert cropped.probabilities == same.probabilities
    assert cropped.probabilities != prediction.predict(row.clip).probabilities


def test_the_command_prints_writes_and_is_quiet_elsewhere(study, tmp_path):
    row = first(study)
    output = study.pipeline("predict", row.clip)  # stderr included: no progress bar outside of a terminal
    found = prediction.predict(row.clip)
    picture = f"inspect/synthetic/predictions/{row.clip.replace('/', '_')}_{row.onset}-{row.offset}.png"
    assert output == prediction.as_text(found)
    assert f": {found.predicted} (annotated: {row.label})" in output and f"Picture: {picture}" in output
    assert f"the network trained without {row.subject}" in output
    assert cv2.imread(picture).shape[1] > 1000
    facts = json.loads(study.pipeline("predict", row.clip, "--json", "--picture", str(tmp_path / "here.png")))
    assert facts["class"] == found.predicted and facts["probabilities"] == found.probabilities
    assert facts["models"] == [f"models/synthetic/{row.subject}.pt"] and facts["label"] == row.label
    assert (facts["onset"], facts["offset"]) == (row.onset, row.offset)
    assert [path.name for path in tmp_path.iterdir()] == ["here.png"]
    output = study.pipeline("predict", "nowhere", fails=True)
    assert (
        output.startswith("Error: nowhere: expected a folder of frames, a video file, or the id")
        and output.count("\n") == 1
    )


def test_what_makes_a_prediction_worth_less_is_said(study, tmp_path):
    row = first(study)
    other = Path(f"models/synthetic/{next(subject for subject in SUBJECTS if subject != row.subject)}.pt")
    assert f"was trained on clips of {row.subject}" in prediction.as_text(prediction.predict(row.clip, model=other))
    short = prediction.predict(
        str(elsewhere(study, row, tmp_path / "new")), offset=row.onset + 1, picture=tmp_path / "new.png"
    )
    assert any("the clip has 2 frames, those of synthetic" in note for note in short.notes)
    assert sum(not prediction.predict(clip).notes for clip in clips(study)["clip"]) >= 0.8 * len(clips(study))


def test_a_clip_with_too_few_frames_is_refused(study, tmp_path):
    row = first(study)
    with pytest.raises(InputError, match=r"expected at least 2 frames.*found 1"):
        prediction.predict(row.clip, onset=row.onset, offset=row.onset)
    with pytest.raises(InputError, match=r"expected at least 2 frames.*found 0"):
        prediction.predict(row.clip, onset=row.offset, offset=row.onset)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: expected a folder of numbered frames .*found none"):
        prediction.predict(str(tmp_path / "empty"))
    folder = elsewhere(study, row, tmp_path / "new")
    (folder / f"reg_img{row.onset + 2}.jpg").unlink()
    with pytest.raises(InputError, match=f"frame {row.onset + 2} is missing"):
        prediction.predict(str(folder))


def test_a_clip_without_a_face_is_refused(study, tmp_path):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((100, 100, 3), 128, np.uint8))
    with pytest.raises(InputError, match=r"expected a face in frame 0.*--face none"):
        prediction.predict(str(tmp_path), face="crop")


def test_another_flow_than_the_networks_is_refused(changed):
    changed.edit("method: dis ", "method: farneback ")
    with pytest.raises(InputError, match=r"trained on \(.*method dis.*method farneback"):
        prediction.predict(first(changed).clip)


def test_other_head_motion_than_the_networks_is_refused(changed):
    changed.edit("head_motion: affine ", "head_motion: keep ")
    with pytest.raises(
        InputError, match=r"trained on \(.*head_motion affine.*says .*head_motion keep.*Set head_motion"
    ):
        prediction.predict(first(changed).clip)


def test_a_network_that_does_not_say_what_was_done_about_head_motion_is_refused(changed):
    row = first(changed)
    model = changed.root / f"models/synthetic/{row.subject}.pt"
    settings = torch.load(model, weights_only=True)["params"]
    del settings["flow"]["head_motion"]
    rewrite(model, params=settings)
    with pytest.raises(
        InputError, match=r"about head motion in its training, found one of an older version.*dvc repro"
    ):
        prediction.predict(row.clip)


def test_a_clip_whose_head_cannot_be_followed_is_refused(changed, tmp_path):
    row = first(changed)
    folder = elsewhere(changed, row, tmp_path / "new")
    for file in sorted(folder.iterdir())[1:3]:
        cv2.imwrite(str(file), np.zeros_like(cv2.imread(str(file))))
    with pytest.raises(InputError, match=r"expected a head that can be followed.*shows nothing.*--onset and --offset"):
        prediction.predict(str(folder), face="none")


@pytest.mark.parametrize("kind", ["cut", "left"])
def test_one_clip_gets_an_answer_where_a_study_refuses(changed, tmp_path, kind):
    row = first(changed)
    folder = elsewhere(changed, row, tmp_path / "new")
    files = sorted(folder.iterdir(), key=lambda file: int("".join(filter(str.isdigit, file.stem))))
    for number, file in enumerate(files):
        frame = cv2.imread(str(file))
        if kind == "cut" and number >= len(files) // 2:
            frame = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, frame.shape).astype(np.uint8), (0, 0), 1)
        elif kind == "left":
            shift = np.float32([[1, 0, 0.4 * frame.shape[1] * number / len(files)], [0, 1, 0]])
            frame = cv2.warpAffine(frame, shift, frame.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        cv2.imwrite(str(file), frame)
    found = prediction.predict(str(folder), face="none", picture=tmp_path / "new.png")
    said = "\n".join(found.notes)
    if kind == "cut":
        assert re.search(r"frame \d+ shows something else than frame \d+: .* The class may be that of the change", said)
        assert int(re.findall(r"frame (\d+) shows", said)[0]) <= row.offset
    else:
        assert re.search(
            r"the face leaves the frame in frame \d+.* What has left it was not seen|jumps from frame", said
        )
    assert json.loads(prediction.as_json(found))["notes"] == list(found.notes)


def test_a_clip_in_which_nothing_moves_is_noted(study, tmp_path):
    row = first(study)
    folder = elsewhere(study, row, tmp_path / "new")
    files = sorted(folder.iterdir())
    for file in files[1:]:
        shutil.copy2(files[0], file)
    notes = "\n".join(prediction.predict(str(folder), face="none", picture=tmp_path / "new.png").notes)
    count = len(clips(study))
    assert f"less moves (0.000 px per frame) than in {count} of {count} clips of synthetic" in notes


def test_two_windows_of_a_clip_have_two_pictures(changed, tmp_path):
    row = first(changed)
    folder = elsewhere(changed, row, tmp_path / "new")
    whole, part = prediction.predict(str(folder)), prediction.predict(str(folder), onset=row.onset + 1)
    assert whole.picture != part.picture and whole.picture.exists() and part.picture.exists()
    assert part.picture.stem.endswith(f"_{row.onset + 1}-{row.offset}")


def test_other_classes_than_the_datasets_are_refused(changed):
    path = changed.root / "data/synthetic/classes.json"
    path.unlink()
    path.write_text(json.dumps(CLASSES[:3]))
    with pytest.raises(InputError, match=r"classes of synthetic .*repression.*found one for .*surprise"):
        prediction.predict(first(changed).clip)


def rewrite(model: Path, **changes):
    content = torch.load(model, weights_only=True)
    model.unlink()
    torch.save(content | changes, model)


def test_without_networks_nothing_is_predicted(changed, tmp_path):
    row = first(changed)
    folder = str(elsewhere(changed, row, tmp_path / "new"))
    models = changed.root / "models/synthetic"
    rewrite(models / "sub02.pt", frames=30)
    with pytest.raises(InputError, match=r"other frames in .*sub02\.pt than in .*sub01\.pt"):
        prediction.predict(folder)
    rewrite(models / "sub02.pt", frames=6, state_dict={})
    with pytest.raises(InputError, match=r"sub02\.pt: expected a trained network, found the empty file"):
        prediction.predict(folder)
    (models / "sub02.pt").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"sub02\.pt: expected a network of this pipeline"):
        prediction.predict(folder)
    (models / "sub02.pt").unlink()
    with pytest.raises(InputError, match=r"sub02\.pt: expected a trained network, found no such file.*dvc repro"):
        prediction.predict(folder)


def test_folds_that_were_not_trained_are_left_out_and_their_clips_refused(changed, tmp_path):
    row = first(changed)
    changed.edit("held_out: all", "held_out: [sub02, sub03]")
    folder = str(elsewhere(changed, row, tmp_path / "new"))
    assert prediction.predict(folder, picture=tmp_path / "new.png").held_out == ("sub02", "sub03")
    with pytest.raises(InputError, match=f"{row.clip}: expected a network that was trained without sub01"):
        prediction.predict(row.clip)


def test_a_picture_that_cannot_be_drawn_leaves_the_folder_as_it_was(study, tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(prediction.drawing, "write", fail)
    with pytest.raises(MemoryError):
        prediction.predict(first(study).clip, picture=tmp_path / "empty.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["clip.jpg", "nowhere/clip.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_computed(study, name):
    begun = []
    with pytest.raises(InputError, match=r"expected a file ending in .png or .svg, in a folder"):
        prediction.predict(first(study).clip, picture=Path(name), step=begun.append)
    assert not begun
