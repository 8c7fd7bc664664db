"""Flow from onset to apex: the stage, what counts as an apex, and the methods that read it with and without one."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pipeline import paths, preparation
from pipeline.errors import InputError
from pipeline.flow.dis.estimator import Estimator
from pipeline.frames.recording import Recording
from pipeline.storage import apexes, clip_store
from stages import aggregate, classify, describe, describe_inputs, index, inputs, key_flow, synthesize, task, train
from stages import gather as gathering
from tests.tiny import TINY, shrink

ROOT = Path(__file__).parents[2]
SIZE = 64
CHANGES = TINY | {
    "networks": {
        "names": ["ststnet", "cnn_lstm"],
        "ststnet": {"epochs": 2},
        "cnn_lstm": {"epochs": 1, "crop": 56, "features": 4, "hidden": 4},
    },
    "comparators": TINY["comparators"] | {"methods": ["pixels"]},
    "runtime": {"device": "cpu"},
}


def run(stage, *arguments, fails=False):
    result = CliRunner().invoke(stage.main, list(arguments))
    assert (result.exit_code != 0) == fails, (result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny synthetic database that has been indexed."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", paths.PARAMS)
        shrink(paths.PARAMS, CHANGES)
        Path("weights").mkdir()
        Path("weights/none").touch()
        run(synthesize)
        run(index, "synthetic")
    return folder


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    yield recordings()
    torch.use_deterministic_algorithms(False)


def recordings():
    return pd.read_csv(paths.recordings("synthetic")).astype({"apex": "Int64"})


def change(apex):
    """Write other apexes into recordings.csv."""
    recordings().assign(apex=pd.array(apex, dtype="Int64")).to_csv(paths.recordings("synthetic"), index=False)


def key_frames(row, apex):
    clip = Recording(Path("data/raw/synthetic") / row.frames, row.onset, row.offset)
    return preparation.key_frames(clip, (0, int(apex) - row.onset), SIZE)


def written():
    with clip_store.reading(paths.key_flow("synthetic")) as file:
        return clip_store.clip_names(file), clip_store.values(file, "flow"), dict(file["flow"].attrs)


def frame_file(row, number):
    [file] = [
        path for path in (Path("data/raw/synthetic") / row.frames).iterdir() if path.stem.endswith(f"img{number}")
    ]
    return file


def test_the_flow_is_from_onset_to_apex_as_filmed(study):
    output = run(key_flow, "synthetic")
    clips, flow, attributes = written()
    assert clips == list(study["clip"]) and flow.shape == (9, 2, SIZE, SIZE) and flow.dtype == np.float16
    assert attributes["head_motion"] == "affine" and attributes["method"] == "dis"
    row = study.iloc[4]
    expected = preparation.key_flow(key_frames(row, row["apex"]), "affine", Estimator(Path(), "cpu"))
    assert np.array_equal(flow[4], expected[0]) and flow[4].any()
    table = pd.read_csv(paths.apex("synthetic"))
    assert list(table.columns) == ["clip", "apex", "source"] and (table["source"] == "annotated").all()
    assert list(table["apex"]) == list(study["apex"])
    assert "apex of 9 clips: 9 annotated" in output


def test_head_motion_is_removed_by_the_setting():
    rng = np.random.default_rng(0)
    face = cv2.GaussianBlur(rng.uniform(0, 255, (96, 96, 3)).astype(np.float32), (0, 0), 2)
    face = cv2.normalize(face, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    pair = np.stack([face[8:88, 8:88], face[8:88, 6:86]])  # the head goes 2 px to the right
    kept, removed = (preparation.key_flow(pair, fit, Estimator(Path(), "cpu"))[0] for fit in ("keep", "affine"))
    inside = np.s_[:, 10:-10, 10:-10]
    np.testing.assert_allclose(kept[0][10:-10, 10:-10].mean(), 2, atol=0.1)
    assert np.abs(removed[inside]).mean() < 0.05


def test_a_rerun_gives_the_same_bytes(study):
    run(key_flow, "synthetic")
    first = [path.read_bytes() for path in (paths.key_flow("synthetic"), paths.apex("synthetic"))]
    run(key_flow, "synthetic")
    assert first == [path.read_bytes() for path in (paths.key_flow("synthetic"), paths.apex("synthetic"))]


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(study, monkeypatch):
    change([None, *study["apex"][1:]])
    shrink(paths.PARAMS, {"apex": "estimated"})
    run(key_flow, "synthetic")
    whole = [path.read_bytes() for path in (paths.key_flow("synthetic"), paths.apex("synthetic"))]
    estimate, estimated = preparation.key_flow, []

    def broken(*arguments):
        if len(estimated) == 20:
            raise InputError("stopped")
        estimated.append(1)
        return estimate(*arguments)

    for path in (paths.key_flow("synthetic"), paths.apex("synthetic")):
        path.unlink()
    monkeypatch.setattr(preparation, "key_flow", broken)
    length = int(study["n_frames"][0])
    monkeypatch.setattr(key_flow, "progress", lambda *_: lambda rows: rows[:3] if len(rows) == 9 else rows)
    run_result = CliRunner().invoke(key_flow.main, ["synthetic"])  # three clips, then the others are missing
    assert run_result.exit_code != 0 and not paths.key_flow("synthetic").exists()
    assert len(estimated) == length - 1 + 3
    estimated.clear()
    assert "going on after 3 of 9 clips" in run(key_flow, "synthetic")
    assert len(estimated) == 6
    assert whole == [path.read_bytes() for path in (paths.key_flow("synthetic"), paths.apex("synthetic"))]


def test_what_was_kept_of_other_frames_is_not_used(study, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(key_flow, "progress", lambda *_: lambda rows: rows[:3])
        assert CliRunner().invoke(key_flow.main, ["synthetic"]).exit_code != 0
    row = study.iloc[0]
    shutil.copyfile(frame_file(row, row["onset"]), frame_file(row, row["apex"]))
    assert "going on" not in run(key_flow, "synthetic")
    assert not written()[1][0].any()  # and a clip of equal frames does not move


@pytest.mark.parametrize("setting", ["middle", "estimated"])
def test_a_clip_without_an_apex_gets_one_by_the_setting(study, setting):
    change([None, *study["apex"][1:]])
    shrink(paths.PARAMS, {"apex": setting})
    output = run(key_flow, "synthetic")
    first = apexes.read(paths.apex("synthetic"))[study["clip"][0]]
    row = study.iloc[0]
    middle = -(-(row["onset"] + row["offset"]) // 2)
    assert first.source == setting and row["onset"] < first.frame <= row["offset"]
    assert first.frame == middle if setting == "middle" else abs(first.frame - row["apex"]) <= 2
    assert np.array_equal(
        written()[1][0], preparation.key_flow(key_frames(row, first.frame), "affine", Estimator(Path(), "cpu"))[0]
    )
    assert f"1 {setting}, 8 annotated" in output


def test_an_unknown_apex_stays_unknown_and_the_flow_ends_at_the_middle(study):
    change([None, *study["apex"][1:]])
    output = run(key_flow, "synthetic")
    assert apexes.read(paths.apex("synthetic"))[study["clip"][0]] == apexes.Apex(None, "")
    row = study.iloc[0]
    middle = -(-(row["onset"] + row["offset"]) // 2)
    assert np.array_equal(
        written()[1][0], preparation.key_flow(key_frames(row, middle), "affine", Estimator(Path(), "cpu"))[0]
    )
    assert "1 unknown, 8 annotated" in output


def test_an_apex_at_the_onset_or_outside_is_counted_and_named(study):
    change([study["onset"][0], study["offset"][1] + 5, *study["apex"][2:]])
    output = run(key_flow, "synthetic")
    assert "annotated apex of 2 clips is their onset or outside of the clip" in output
    assert study["clip"][0] in output and study["clip"][1] in output and study["clip"][2] not in output
    assert [apex.source for apex in apexes.read(paths.apex("synthetic")).values()] == ["", ""] + ["annotated"] * 7


def test_a_key_frame_that_cannot_be_read_is_named(study):
    row = study.iloc[2]
    file = frame_file(row, row["apex"])
    file.write_bytes(file.read_bytes()[:20])
    assert file.name in run(key_flow, "synthetic", fails=True)
    file.unlink()
    assert f"frame {row['apex']} is missing" in run(key_flow, "synthetic", fails=True)
    assert not paths.key_flow("synthetic").exists() and not paths.apex("synthetic").exists()


def test_two_frames_are_enough():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 255, (2, 80, 72, 3), dtype=np.uint8)
    assert preparation.estimated_apex(clip, SIZE, "affine", Estimator(Path(), "cpu")) == 1


def test_a_damaged_table_of_apexes_is_an_error(tmp_path):
    path = tmp_path / "apex.csv"
    path.write_text("clip,apex,source\na/1,,annotated\n")
    with pytest.raises(InputError, match=r"apex\.csv, clip a/1: expected the number of a frame and its source"):
        apexes.read(path)


# --- methods that read it ---


def prepared(setting):
    """Everything up to the manifests of the methods; frames and flow are noise, which nothing here looks at."""
    shrink(paths.PARAMS, {"apex": setting})
    clips, rng = list(recordings()["clip"]), np.random.default_rng(0)
    frames = [rng.integers(0, 255, (6, SIZE, SIZE, 3)).astype(np.uint8) for _ in clips]
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", clips, frames)
    clip_store.write_stack(paths.flow("synthetic"), "flow", clips, [np.zeros((5, 2, SIZE, SIZE), np.float16)] * 9)
    clip_store.write_stack(paths.head_motion("synthetic"), "head_motion", clips, [np.zeros((6, 2, 3))] * 9)
    run(key_flow, "synthetic")
    run(describe_inputs, "synthetic")
    run(describe, "synthetic", "pixels")
    for method in ("pixels", "ststnet", "cnn_lstm"):
        run(inputs, "synthetic", "synthetic", method)
    run(gathering, "synthetic")
    run(task)


def row(method):
    return (
        pd.read_csv(paths.comparator("synthetic", method)),
        json.loads(paths.comparator_facts("synthetic", method).read_text()),
    )


def trained(network):
    said = "".join(run(train, network, subject) for subject in ("sub01", "sub02", "sub03"))
    run(aggregate, network)
    return said, *row(network)


@pytest.mark.parametrize("network", ["ststnet", "cnn_lstm"])
def test_without_any_apex_a_network_has_no_row(study, network):
    change([None] * 9)
    prepared("annotated")
    said, table, facts = trained(network)
    assert "no clip of synthetic has an apex" in said and "nothing to train" in said
    assert table.empty and facts["remark"] == "N/A: no apex"


def test_without_any_apex_pixels_have_no_row(study):
    change([None] * 9)
    prepared("annotated")
    assert "Set apex: middle or apex: estimated" in run(classify, "pixels")
    table, facts = row("pixels")
    assert table.empty and facts["remark"] == "N/A: no apex"


@pytest.mark.parametrize("network", ["ststnet", "cnn_lstm"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("middle", "by the setting, the apex is the middle frame of 9 of 9 clips"),
        ("estimated", "the apex was estimated in 9 of 9 clips"),
    ],
)
def test_with_an_apex_by_the_setting_a_network_has_a_row_that_says_so(study, network, setting, words):
    change([None] * 9)
    prepared(setting)
    _, table, facts = trained(network)
    assert len(table) == 9 and not table.isna().any().any() and facts["remark"].endswith(words)


def test_the_frames_of_cnn_lstm_are_chosen_by_the_apex_of_the_setting(study):
    from pipeline import networks, trainings
    from pipeline.learning import inputs as learning_inputs
    from pipeline.params import load_params

    change([None] * 9)
    prepared("middle")
    params = load_params(paths.PARAMS)
    found = trainings.sources_of(params, "cnn_lstm")
    network, settings = networks.network("cnn_lstm"), params.network_settings("cnn_lstm")
    read = learning_inputs.read(network, settings, found, list(study["clip"]))
    assert read.with_apex == set(study["clip"]) and read.without_apex == ()
    known = apexes.read(paths.apex("synthetic"))
    change([known[clip].frame + 1 if number == 0 else known[clip].frame for number, clip in enumerate(study["clip"])])
    run(key_flow, "synthetic")  # now they are annotated
    run(inputs, "synthetic", "synthetic", "cnn_lstm")
    other = learning_inputs.read(network, settings, trainings.sources_of(params, "cnn_lstm"), list(study["clip"]))
    assert torch.equal(read.arrays[1:], other.arrays[1:])


@pytest.mark.parametrize("method", ["pixels", "ststnet"])
def test_nothing_is_learnt_from_a_clip_without_an_apex(study, method, monkeypatch):
    """It is predicted all the same, and the row counts it."""
    change([None, *study["apex"][1:]])
    prepared("annotated")
    if method == "pixels":
        run(classify, "pixels")
        table, facts = row("pixels")
    else:
        said, table, facts = trained("ststnet")
        assert "1 of 9 clips have no apex" in said
    assert len(table) == 9 and facts["remark"].endswith("the middle stands in for the apex of 1 of 9 clips")
    before = table
    first = study["clip"][0]
    for path in (paths.clips("synthetic"), *paths.splits("synthetic").glob("*.csv")):
        listed = pd.read_csv(path)
        others = set(listed["label"]) - set(listed.loc[listed["clip"] == first, "label"])
        if (listed["clip"] == first).any():
            listed.loc[listed["clip"] == first, "label"] = sorted(others)[0]
            listed.to_csv(path, index=False)
    if method == "pixels":
        run(classify, "pixels")
        after, _ = row("pixels")
    else:
        _, after, _ = trained("ststnet")
    assert list(before["predicted"]) == list(after["predicted"])


def test_features_without_movement_are_finite(study):
    from pipeline.comparators import describe as described

    assert (described("pixels", np.zeros((2, SIZE, SIZE), np.float32)) == 0).all()
    with pytest.raises(
        InputError, match=r"pixels reads flow: expected floating point \(2, H, W\); found float32 \(3, 2"
    ):
        described("pixels", np.zeros((3, 2, SIZE, SIZE), np.float32))
