"""The stages of CNN+LSTM, on a study of twelve clips that lies on disk as the stages before leave it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pipeline import networks, paths
from pipeline.evaluation import protocols
from pipeline.learning import training
from pipeline.storage import apexes, clip_store, parts, sources
from pipeline.storage.apexes import Apex
from stages import aggregate, inputs
from stages import train as train_stage
from tests.tiny import shrink

ROOT = Path(__file__).parents[3]
REMARK = "the paper's states and objectives, formulas and constants chosen here"
SUBJECTS = ["sub01", "sub02", "sub03"]
TABLE = pd.DataFrame(
    [(f"{subject}/{take}", subject, label) for subject in SUBJECTS for take, label in enumerate(["happy", "sad"] * 2)],
    columns=["clip", "subject", "label"],
)


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Write a study whose clips have the given apexes, and go there."""
    monkeypatch.chdir(tmp_path)

    def write(apex=12, held_out="all"):
        shutil.copy(ROOT / "params.yaml", paths.PARAMS)
        training = {"threads": 1, "augmentation": {"crop": 56}}
        own = {"names": ["cnn_lstm"], "cnn_lstm": {"features": 8, "hidden": 8, "epochs": 2, "crop": 56}}
        settings = {"subjects": SUBJECTS, "held_out": held_out, "resize": {"size": 64}, "model": {"pooling": 1}}
        shrink(paths.PARAMS, settings | {"train": training, "networks": own, "runtime": {"device": "cpu"}})
        rng = np.random.default_rng(0)
        frames = [rng.integers(0, 255, (5, 64, 64, 3)).astype(np.uint8) for _ in range(len(TABLE))]
        recordings = TABLE.assign(onset=10, apex=apex, offset=18, n_frames=9, frames="a")
        for path in (
            paths.recordings("synthetic"),
            paths.split("synthetic", "a"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
        recordings.to_csv(paths.recordings("synthetic"), index=False)
        known = {
            row.clip: Apex(row.apex, "annotated") if row.apex else Apex(None, "") for row in recordings.itertuples()
        }
        apexes.table(known.items()).to_csv(paths.apex("synthetic"), index=False)
        clip_store.write_stack(paths.stabilised("synthetic"), "frames", list(TABLE["clip"]), frames)
        stage(inputs.main, "synthetic", "synthetic", "cnn_lstm")
        folds = {subject: [subject] for subject in SUBJECTS}
        paths.folds("synthetic").write_text(protocols.as_text(folds))
        paths.classes("synthetic").write_text(json.dumps(["happy", "sad"]))
        recordings.assign(database="synthetic").to_csv(paths.clips("synthetic"), index=False)
        for subject in SUBJECTS:
            split = protocols.split(TABLE, [subject])
            split = split if held_out == "all" or subject in held_out else split[:0]
            split.to_csv(paths.split("synthetic", subject), index=False)

    return write


def stage(command, *arguments, fails=False):
    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code == 1) == fails, result.output
    return result.output


def train(subject="sub02", **options):
    return stage(train_stage.main, "cnn_lstm", subject, **options)


def pool(**options):
    return stage(aggregate.main, "cnn_lstm", **options)


def pooled():
    return paths.comparator("synthetic", "cnn_lstm").read_text().splitlines()


def facts():
    return json.loads(paths.comparator_facts("synthetic", "cnn_lstm").read_text())


def test_all_folds_make_one_table_in_the_order_of_the_clips(study):
    study()
    for subject in reversed(SUBJECTS):
        assert train(subject) == ""
    pool()
    rows = [line.split(",") for line in pooled()]
    assert rows[0] == ["clip", "subject", "label", "predicted"]
    assert [row[:3] for row in rows[1:]] == TABLE.values.tolist()
    assert {row[3] for row in rows[1:]} <= {"happy", "sad"}
    assert facts() == {"title": "CNN+LSTM", "values": 5 * 8, "remark": REMARK}
    assert not Path(".partial").exists() and not list(Path(".resume").rglob("*.part"))
    assert paths.model("synthetic", "sub01", "cnn_lstm") == Path("models/cnn_lstm/synthetic/sub01.pt")
    for path in (paths.model, paths.fold, paths.curve):
        assert path("synthetic", "sub01", "cnn_lstm").is_file()


def test_a_fold_that_was_interrupted_goes_on_where_it_stopped(study, monkeypatch):
    """It is ended while it saves the second epoch of the LSTM, as by a signal."""
    study()
    train()
    files = [path("synthetic", "sub02", "cnn_lstm") for path in (paths.model, paths.curve)]
    whole = [file.read_bytes() for file in files]
    keep, calls = training._Kept.keep, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        keep(*arguments)

    for file in files:
        file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(training._Kept, "keep", stop)
        train(fails=True)
    assert not any(file.exists() for file in files)
    output = train()
    assert "train: CNN+LSTM without sub02: going on after epoch 3 of 4" in output
    assert [file.read_bytes() for file in files] == whole


def test_clips_without_an_apex_are_counted(study):
    study(apex=["", *(12,) * 10, ""])
    for subject in SUBJECTS:
        assert "2 of 12 clips have no apex: CNN+LSTM learns nothing from them, and predicts them as if" in train(
            subject
        )
    pool()
    assert len(pooled()) == 1 + len(TABLE)
    assert facts()["remark"] == f"{REMARK}; the middle stands in for the apex of 2 of 12 clips"


def test_a_study_without_apexes_has_an_empty_table_and_says_why(study):
    study(apex=[""] * len(TABLE))
    for subject in SUBJECTS:
        assert "train: CNN+LSTM: no clip of synthetic has an apex: nothing to train" in train(subject)
    assert "synthetic: no cnn_lstm, because the apex of its clips, or of a whole" in pool()
    assert pooled() == ["clip,subject,label,predicted"]
    assert facts()["remark"] == "N/A: no apex"


def test_apexes_of_one_subject_are_too_few(study):
    study(apex=[12, "", 12, *[""] * 9])
    assert "train: CNN+LSTM: clips of less than two subjects have an apex, so that a fold has nothing" in train()
    for subject in SUBJECTS:
        train(subject)
    pool()
    assert pooled() == ["clip,subject,label,predicted"] and facts()["remark"] == "N/A: no apex"


def test_folds_that_are_not_wanted_are_not_trained(study):
    study(held_out=["sub02"])
    assert "sub01 is not in held_out, nothing to train" in train("sub01")
    train("sub02")
    pool()
    assert [line.split(",")[1] for line in pooled()[1:]] == ["sub02"] * 4


def test_a_prediction_that_is_missing_is_named(study):
    study()
    for subject in SUBJECTS:
        train(subject)
    fold = paths.fold("synthetic", "sub03", "cnn_lstm")
    fold.write_text("".join(fold.read_text().splitlines(keepends=True)[:-1]))
    assert "sub03/3 has no prediction" in pool(fails=True)
    assert not paths.comparator("synthetic", "cnn_lstm").exists()


def test_frames_that_were_changed_are_named(study):
    study()
    with paths.stabilised("synthetic").open("ab") as file:
        file.write(b"x")
    assert "stabilised.h5: expected the content with SHA-256" in train(fails=True)


def test_what_it_reads_is_named_with_the_recordings_and_the_apexes(study):
    study()
    [found] = sources.read({"synthetic": paths.inputs_of("synthetic", "cnn_lstm", "synthetic")})
    assert found.arrays == parts.file_of(paths.stabilised("synthetic"))
    files = [paths.recordings("synthetic"), paths.apex("synthetic")]
    assert [found.recordings, found.apex] == [parts.file_of(file) for file in files]
    for file in files:
        content = file.read_bytes()
        file.write_text("something else")
        assert f"{file.name}: expected the content with SHA-256" in train(fails=True)
        file.write_bytes(content)


def test_an_unknown_network_is_one_clear_error(study):
    study()
    message = stage(train_stage.main, "cnn_lsmt", "sub01", fails=True)
    assert f"expected one of the networks {', '.join(networks.names())}" in message and "'cnn_lsmt'" in message
