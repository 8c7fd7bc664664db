"""A study is read from its files: arrays by the names of their clips, each clip shown to the right network."""

import json

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.report.figures import mean_face
from pipeline.report.provenance import hashes
from pipeline.report.sources import Sources, look, open_arrays, open_study
from pipeline.stanet import introspection
from pipeline.stanet.network import STANet
from pipeline.storage import clip_store
from tests.report.studies import CLASSES, CURVE, params, predictions, study

CROP, SIZE, FRAMES = 32, 40, 3
CLIPS = predictions(8, 2)
NAMES = list(CLIPS["clip"])
FRAME = np.arange(len(NAMES))[:, None, None, None, None] * np.ones((1, FRAMES + 1, SIZE, SIZE, 3))
FLOW = np.random.default_rng(3).normal(size=(len(NAMES), FRAMES, 2, SIZE, SIZE)).astype(np.float16)
SETTINGS = {"spatial_attention": True, "temporal_attention": True, "pooling": 1, "regions": 1, "readout": "last"}
NETWORKS = {
    subject: STANet(len(CLASSES), **SETTINGS, seed=seed).eval() for seed, subject in enumerate(("sub01", "sub02"))
}


def write_arrays(folder, clips=NAMES):
    """The arrays of the clips, in this order."""
    rows = [NAMES.index(clip) for clip in clips]
    clip_store.write_stack(folder / "resized.h5", "frames", clips, list(FRAME[rows].astype(np.uint8)))
    clip_store.write_stack(folder / "flow.h5", "flow", clips, list(FLOW[rows]), {"method": "dis", "alpha": 1})


@pytest.fixture
def sources(tmp_path):
    """The files of a study of which one fold was trained."""
    made = study(table=CLIPS, held_out=["sub02"])
    write_arrays(tmp_path)
    made.clips.to_csv(tmp_path / "clips.csv", index=False)
    made.predictions.to_csv(tmp_path / "predictions.csv", index=False)
    made.per_subject.to_csv(tmp_path / "per_subject.csv", index=False)
    CURVE.to_csv(tmp_path / "curve.csv", index=False)
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    (tmp_path / "metrics.json").write_text(json.dumps(made.metrics))
    (tmp_path / "annotation.json").write_text(json.dumps(made.provenance.annotation))
    torch.save(
        {
            "state_dict": NETWORKS["sub02"].state_dict(),
            "classes": CLASSES,
            "params": {"model": SETTINGS},
            "device": "cpu",
            "versions": {"torch": "9.9"},
        },
        tmp_path / "sub02.pt",
    )
    return Sources(
        clips=tmp_path / "clips.csv",
        classes=tmp_path / "classes.json",
        annotation=tmp_path / "annotation.json",
        resized=tmp_path / "resized.h5",
        flow=tmp_path / "flow.h5",
        networks={"sub02": tmp_path / "sub02.pt"},
        curves={"sub02": tmp_path / "curve.csv"},
        predictions=tmp_path / "predictions.csv",
        metrics=tmp_path / "metrics.json",
        per_subject=tmp_path / "per_subject.csv",
        truth=None,
    )


def test_arrays_are_found_by_name_whatever_their_order(tmp_path):
    write_arrays(tmp_path, NAMES[::-1])
    with open_arrays(tmp_path / "resized.h5", tmp_path / "flow.h5", NAMES) as arrays:
        for number, clip in enumerate(NAMES):
            np.testing.assert_array_equal(arrays.frames(clip), FRAME[number])
            np.testing.assert_array_equal(arrays.flow(clip), FLOW[number])
        assert arrays.estimator == {"alpha": 1, "method": "dis"}


def test_a_clip_without_arrays_is_named(tmp_path):
    write_arrays(tmp_path, NAMES[1:])
    with (
        pytest.raises(InputError, match=rf"expected 8 clips.*{NAMES[0]}"),
        open_arrays(tmp_path / "resized.h5", tmp_path / "flow.h5", NAMES),
    ):
        pass


def test_each_clip_is_shown_to_the_network_that_did_not_train_on_its_subject():
    worked_on = []

    def bar(clips):
        for clip in clips:
            worked_on.append(clip)
            yield clip

    shown = look(CLIPS, NETWORKS, lambda clip: FLOW[NAMES.index(clip)], CROP, bar)
    assert list(shown) == worked_on == NAMES
    for clip, subject in zip(CLIPS["clip"], CLIPS["subject"], strict=True):
        expected = introspection.attention(NETWORKS[subject], torch.tensor(FLOW[NAMES.index(clip)]), CROP)
        np.testing.assert_array_equal(shown[clip].before, expected.before)


def read(sources, **changes):
    """The study of the files, with what is read from them while they are open."""
    settings = params(
        subjects=["sub01", "sub02"],
        held_out=["sub02"],
        model={"pooling": 1},
        train={"augmentation": {"crop": CROP}},
        **changes,
    )
    with open_study(settings, sources, (("HIGO", 67.21),)) as made:
        return made, mean_face(made)


def test_a_study_is_what_its_files_say(sources):
    made, _ = read(sources)
    assert list(made.clips["clip"]) == NAMES and list(made.predictions["subject"]) == ["sub02"] * 4
    assert list(made.attention) == list(made.predictions["clip"]) and made.truth is None
    assert made.classes == CLASSES and list(made.curves) == ["sub02"] and made.published == (("HIGO", 67.21),)
    assert made.provenance.devices == {"sub02": "cpu"} and made.provenance.trained_with == {"sub02": {"torch": "9.9"}}
    assert made.provenance.estimator["method"] == "dis"
    assert made.provenance.hashes == hashes(sources.hashed())
    assert list(made.provenance.hashes) == [
        "clips.csv", "resized.h5", "flow.h5", "sub02.pt", "predictions.csv", "metrics.json",
    ]  # fmt: skip


def test_with_some_folds_left_out_the_face_behind_the_maps_is_that_of_all_clips(sources):
    """Faces that may not be shown are replaced by what all clips give, held out or not."""
    _, face = read(sources, dataset="casme2")
    assert face.shape == (SIZE, SIZE, 3)
