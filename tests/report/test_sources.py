"""A study is read from its files: arrays by the names of their clips, each clip shown to the right network."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.evaluation import protocols
from pipeline.learning.checkpoint import Checkpoint
from pipeline.networks.stanet import introspection
from pipeline.networks.stanet.network import STANet
from pipeline.report.figures import mean_face
from pipeline.report.sources import Sources, look, open_study
from pipeline.storage import clip_store
from pipeline.storage.digests import sha256
from pipeline.storage.parts import file_of
from tests.manifests import part_of
from tests.report.studies import CLASSES, CURVE, NO_CHOICE, params, predictions, study

CROP, SIZE, FRAMES = 32, 40, 3
PER_FOLD = ("networks", "curves", "choices")
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
    clip_store.write_stack(folder / "stabilised.h5", "frames", clips, list(FRAME[rows].astype(np.uint8)))
    heads = np.eye(3)[:2] + np.arange(len(NAMES))[:, None, None, None] * np.ones((1, FRAMES + 1, 2, 3))
    clip_store.write_stack(folder / "head_motion.h5", "head_motion", clips, list(heads[rows]), {"fit": "affine"})
    clip_store.write_stack(folder / "flow.h5", "flow", clips, list(FLOW[rows]), {"method": "dis", "alpha": 1})


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """The files of a study of which one fold was trained, in the current folder."""
    monkeypatch.chdir(tmp_path)
    made = study(table=CLIPS, held_out=["sub02"])
    write_arrays(tmp_path)
    made.clips.to_csv(tmp_path / "clips.csv", index=False)
    made.predictions.to_csv(tmp_path / "predictions.csv", index=False)
    made.per_subject.to_csv(tmp_path / "per_subject.csv", index=False)
    made.per_part.to_csv(tmp_path / "parts.csv", index=False)
    made.table1.to_csv(tmp_path / "table1.csv", index=False)
    made.others["sparse_mdmo"].to_csv(tmp_path / "sparse_mdmo.csv", index=False)
    CURVE.to_csv(tmp_path / "curve.csv", index=False)
    NO_CHOICE.to_csv(tmp_path / "choice.csv", index=False)
    (tmp_path / "folds.json").write_text(protocols.as_text({"sub01": ["sub01"], "sub02": ["sub02"]}))
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    (tmp_path / "metrics.json").write_text(json.dumps(made.metrics))
    checkpoint = Checkpoint(
        dataset="synthetic",
        held_out="sub02",
        classes=CLASSES,
        params={"model": SETTINGS, "flow": {"method": "dis", "alpha": 1}},
        frames=FRAMES + 1,
        size=SIZE,
        versions={"torch": "9.9"},
        device="cpu",
        state_dict=NETWORKS["sub02"].state_dict(),
    )
    (tmp_path / "sub02.pt").write_bytes(checkpoint.to_bytes())
    part = part_of(Path("flow.h5"))
    files = {"frames": file_of(Path("stabilised.h5")), "head_motion": file_of(Path("head_motion.h5"))}
    part = dataclasses.replace(part, **files, annotation={"coding.xlsx": "cd" * 32})
    return Sources(
        clips=Path("clips.csv"),
        classes=Path("classes.json"),
        parts=[part],
        networks={"sub02": Path("sub02.pt")},
        curves={"sub02": Path("curve.csv")},
        choices={"sub02": Path("choice.csv")},
        folds=Path("folds.json"),
        predictions=Path("predictions.csv"),
        metrics=Path("metrics.json"),
        per_subject=Path("per_subject.csv"),
        per_part=Path("parts.csv"),
        table1=Path("table1.csv"),
        others={"sparse_mdmo": Path("sparse_mdmo.csv")},
    )


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
    with open_study(settings, sources) as made:
        return made, mean_face(made)


def test_a_study_is_what_its_files_say(sources):
    made, _ = read(sources)
    assert list(made.clips["clip"]) == NAMES and list(made.predictions["subject"]) == ["sub02"] * 4
    assert list(made.attention) == list(made.predictions["clip"]) and made.truth is None
    assert made.classes == CLASSES and list(made.curves) == ["sub02"]
    assert made.provenance.devices == {"sub02": "cpu"} and made.provenance.trained_with == {"sub02": {"torch": "9.9"}}
    assert list(made.provenance.estimator.items()) == [("alpha", 1), ("method", "dis")]
    assert made.provenance.annotation == {"coding.xlsx": "cd" * 32}
    assert list(made.table1["method"]) == ["stanet", "sparse_mdmo", "higo", "largest_class"]
    assert list(made.others["sparse_mdmo"]["clip"]) == list(made.predictions["clip"])
    files = ("stabilised.h5", "flow.h5", "clips.csv", "sub02.pt", "predictions.csv", "metrics.json", "table1.csv")
    assert made.provenance.hashes == {name: sha256(Path(name)) for name in files}


def test_with_some_folds_left_out_the_face_behind_the_maps_is_that_of_all_clips(sources):
    """Faces that may not be shown are replaced by what all clips give, held out or not."""
    _, face = read(sources, dataset="casme2")
    assert face.shape == (SIZE, SIZE, 3)


def test_a_fold_may_test_several_subjects(sources):
    """Its network, whatever the fold is called, is shown the clips of all of them."""
    table = CLIPS.assign(predicted=CLASSES[0])
    for file in (sources.predictions, Path("sparse_mdmo.csv")):
        table.to_csv(file, index=False)
    sources.folds.write_text(protocols.as_text({"fold1": ["sub01", "sub02"], "fold2": ["sub03"]}))
    renamed = {name: {"fold1": files["sub02"]} for name, files in vars(sources).items() if name in PER_FOLD}
    settings = params(
        dataset="synthetic-2-fold",
        protocol="k-fold",
        subjects=["sub01", "sub02", "sub03"],
        folds=["fold1", "fold2"],
        held_out=["fold1"],
        model={"pooling": 1},
        train={"augmentation": {"crop": CROP}},
    )
    with open_study(settings, dataclasses.replace(sources, **renamed)) as made:
        assert list(made.attention) == NAMES and made.provenance.devices == {"fold1": "cpu"}
        for clip in NAMES:
            expected = introspection.attention(NETWORKS["sub02"], torch.tensor(FLOW[NAMES.index(clip)]), CROP)
            np.testing.assert_array_equal(made.attention[clip].before, expected.before)
