"""A fold of CNN+LSTM as files: what it learns from, what it never sees, and where the apex is not known."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.networks.cnn_lstm import fold
from pipeline.networks.cnn_lstm.fold import Kept, Pictures
from pipeline.errors import InputError
from pipeline.evaluation import loso
from pipeline.learning.checkpoint import Checkpoint
from pipeline.params import load_params
from pipeline.storage import clip_store, resume
from pipeline.storage.digests import sha256
from pipeline.storage.parts import File, Part
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
CLASSES = ["negative", "positive"]
CLIPS = tuple(f"{subject}/{number}" for subject in ("s1", "s2", "s3") for number in range(4))
TABLE = pd.DataFrame({"clip": CLIPS, "subject": [clip[:2] for clip in CLIPS], "label": CLASSES * 6})
SIZE = 64


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def params(tmp_path):
    """Parameters of a study of twelve clips; some can be changed."""

    def make(**changes):
        shutil.copy(ROOT / "params.yaml", tmp_path)
        tiny = {"subjects": ["s1", "s2", "s3"], "resize": {"size": SIZE}, "model": {"pooling": 1}}
        own = {"cnn_lstm": {"features": 8, "hidden": 8}}
        training = {"epochs": 2, "threads": 1, "batch_size": 4, "augmentation": {"crop": 56}}
        shrink(tmp_path / "params.yaml", tiny | {"train": training, "comparators": own})
        shrink(tmp_path / "params.yaml", changes)
        return load_params(tmp_path / "params.yaml")

    return make


def pictures(with_apex=CLIPS, held_out="", leak=None, without_apex=()):
    """Clips whose apex frame is lit above or below; those of `held_out` can be anything else."""
    rng = np.random.default_rng(0)
    states = rng.integers(90, 110, (len(CLIPS), 5, 1, SIZE, SIZE)).astype(np.uint8)
    for row, clip in enumerate(CLIPS):
        half = slice(0, 32) if row % 2 == 0 else slice(32, 64)
        states[row, 2, 0, half] += 100
        if leak is not None and clip.startswith(held_out):
            states[row] = leak
    return Pictures(torch.from_numpy(states), CLIPS, frozenset(with_apex), tuple(without_apex), 20, ("0" * 64,))


def run(params, subject="s2", table=TABLE, shown=None, **options):
    return fold.run(params, subject, CLASSES, loso.split(table, subject), shown or pictures(), CPU, **options)


def table_of(content):
    return pd.read_csv(io.BytesIO(content))


def test_it_learns_what_can_be_learned(params):
    found = table_of(run(params(train={"epochs": 20, "lr": 3e-3})).predictions)
    assert list(found["predicted"]) == list(found["label"])


def test_the_files_are_those_of_a_fold(params, tmp_path):
    files = run(params())
    predictions, curve = table_of(files.predictions), table_of(files.curve)
    assert list(predictions.columns) == ["clip", "subject", "label", "predicted", "p_negative", "p_positive"]
    assert list(predictions["clip"]) == [clip for clip in CLIPS if clip.startswith("s2")]
    objectives = ["class_error", "class_spread", "state_error", "state_spread", "state_continuity"]
    assert list(curve.columns) == ["network", "epoch", "loss", "accuracy", *objectives]
    assert list(curve["network"]) == ["cnn", "cnn", "lstm", "lstm"] and list(curve["epoch"]) == [1, 2, 1, 2]
    cnn = curve[curve["network"] == "cnn"]
    weights = [1.0, 0.1, 1.0, 0.1, 0.1]
    np.testing.assert_allclose(cnn["loss"], (cnn[objectives] * weights).sum(axis=1), rtol=1e-5)
    assert curve[curve["network"] == "lstm"][objectives].isna().all(axis=None)
    (tmp_path / "s2.pt").write_bytes(files.model)
    found = Checkpoint.read(tmp_path / "s2.pt")
    assert (found.held_out, found.classes, found.frames, found.size) == ("s2", CLASSES, 20, SIZE)
    assert found.params["cnn_lstm"]["features"] == 8
    assert {name.split(".")[0] for name in found.state_dict} == {"cnn", "lstm", "classifier"}


def test_every_run_gives_the_same_bytes_and_every_fold_its_own(params):
    assert run(params()) == run(params())
    assert run(params()).model != run(params(), "s3").model
    assert run(params()).model != run(params(seed=1)).model


def test_it_computes_in_float32_whatever_stanet_computes_in(params):
    assert run(params(train={"precision": "bf16", "compile": True})) == run(params())


def test_a_planted_leak_reaches_no_training(params):
    """Labels of the clips held out, and what these clips look like, change nothing that is learnt."""
    honest = table_of(run(params()).predictions)
    swapped = TABLE.assign(label=TABLE["label"].where(TABLE["subject"] != "s2", "positive"))
    other = run(params(), table=swapped)
    assert table_of(other.predictions).drop(columns="label").equals(honest.drop(columns="label"))
    state = {}
    for name, shown in (("as they are", pictures()), ("white", pictures(held_out="s2", leak=255))):
        state[name] = torch.load(io.BytesIO(run(params(), shown=shown).model), weights_only=True)["state_dict"]
    assert all(torch.equal(value, state["white"][name]) for name, value in state["as they are"].items())


def test_a_leak_in_training_would_be_seen(params):
    """The other way round: a training label that is changed does change what is learnt."""
    swapped = TABLE.assign(label=TABLE["label"].where(TABLE["clip"] != "s1/0", "positive"))
    assert run(params(), table=swapped).model != run(params()).model


def test_a_clip_without_an_apex_trains_nothing_and_is_predicted(params):
    known = [clip for clip in CLIPS if clip not in ("s1/0", "s2/1")]
    shown = pictures(known)
    one = run(params(), shown=shown)
    swapped = TABLE.assign(label=TABLE["label"].where(TABLE["clip"] != "s1/0", "positive"))
    assert run(params(), table=swapped, shown=shown).model == one.model != run(params()).model
    assert list(table_of(one.predictions)["clip"]) == [clip for clip in CLIPS if clip.startswith("s2")]


@pytest.mark.parametrize(("known", "without_apex"), [((), ()), (("s1/0", "s1/1"), ()), (CLIPS[:8], ["smic_hs"])])
def test_a_study_without_apexes_trains_nothing_and_predicts_nothing(params, known, without_apex):
    """With those of one subject alone, the fold that holds this one out has nothing to learn from.

    Where a whole database has none, its subjects would be judged by frames that were never annotated.
    """
    files = run(params(), shown=pictures(known, without_apex=without_apex))
    assert files.predictions == b"clip,subject,label,predicted,p_negative,p_positive\n"
    assert table_of(files.curve).empty


def test_a_fold_that_is_not_wanted_has_tables_without_rows(params, tmp_path):
    files = fold.run(params(), "s2", CLASSES, loso.split(TABLE, "s2")[:0], fold.NO_PICTURES, CPU)
    assert files.predictions == b"clip,subject,label,predicted,p_negative,p_positive\n"
    (tmp_path / "s2.pt").write_bytes(files.model)
    with pytest.raises(InputError, match="empty file of a fold"):
        Checkpoint.read(tmp_path / "s2.pt")


class Interrupted(Exception):
    pass


def stop_at(turn, epoch):
    """Progress display that ends the `turn`-th training after an epoch, as a signal would."""
    turns = []

    def progress(left):
        turns.append(left)
        for number in left:
            if len(turns) == turn and number > epoch:
                raise Interrupted
            yield number

    return progress


@pytest.mark.parametrize("turn", [1, 2], ids=["the CNN", "the LSTM"])
def test_an_interrupted_fold_ends_with_the_bytes_of_an_uninterrupted_one(params, tmp_path, turn):
    whole = run(params(train={"epochs": 3}))

    def kept():
        return Kept(resume.Parts(tmp_path / "cnn"), resume.Parts(tmp_path / "lstm"))

    with pytest.raises(Interrupted):
        run(params(train={"epochs": 3}), kept=kept(), progress=stop_at(turn, 2))
    assert (kept().cnn.finished, kept().lstm.finished) == (({2}, set()) if turn == 1 else ({3}, {2}))
    begun = []
    rest = run(
        params(train={"epochs": 3}), kept=kept(), progress=lambda left: (begun.append(epoch) or epoch for epoch in left)
    )
    assert begun == ([3, 1, 2, 3] if turn == 1 else [3])
    assert rest == whole


def test_what_an_interrupted_training_left_is_used_only_for_the_same_training(params):
    def key(subject="s2", classes=CLASSES, **changes):
        return fold.key(params(**changes), subject, classes, loso.split(TABLE, subject), pictures(), CPU)

    others = [
        key("s3"),
        key(classes=CLASSES[::-1]),
        key(seed=1),
        key(train={"epochs": 3}),
        key(train={"threads": 2}),
        key(comparators={"cnn_lstm": {"hidden": 9}}),
        key(comparators={"cnn_lstm": {"weights": {"state_error": 0.5}}}),
    ]
    assert key() == key() and len({key(), *others}) == 1 + len(others)
    assert key() == key(train={"precision": "bf16"})


def database(folder, prefix="", apex=12):
    """The files of a database of two clips, 5 frames of 4 px whose grey level is 10 x the number of the frame."""
    folder.mkdir()
    (folder / "recordings.csv").write_text(
        f"clip,subject,label,onset,apex,offset,n_frames,frames\na/0,a,happy,10,{apex},18,9,a\na/1,a,sad,1,,9,9,a\n"
    )
    frames = [
        np.arange(5, dtype=np.uint8)[:, None, None, None] * 10 + np.zeros((5, 4, 4, 3), np.uint8) + add
        for add in (0, 1)
    ]
    clip_store.write_stack(
        folder / "stabilised.h5", "frames", ["a/0", "a/1"], [frame.astype(np.uint8) for frame in frames]
    )
    files = [File((folder / name).as_posix(), sha256(folder / name)) for name in ("recordings.csv", "stabilised.h5")]
    arrays = dict.fromkeys(("frames", "flow", "head_motion"), files[1])
    return Part(folder.name, prefix, recordings=files[0], **arrays, truth=None, annotation={})


def test_the_states_are_read_from_the_frames_and_the_apexes_from_the_recordings(tmp_path):
    members = [database(tmp_path / name, f"{name}-") for name in ("one", "two")]
    found = fold.read_pictures(members, ["two-a/1", "one-a/0"])
    assert found.states.shape == (2, 5, 1, 4, 4) and found.states.dtype == torch.uint8 and found.frames == 5
    # a/1 has no apex: the middle, 2. a/0: 2 of 8 recorded frames are frame 1 of 5; 0.5 goes to 0, 2.5 to 2.
    assert found.states[:, :, 0, 0, 0].tolist() == [[1, 11, 21, 31, 41], [0, 0, 10, 20, 40]]
    assert found.with_apex == {"one-a/0"} and found.clips == ("two-a/1", "one-a/0")
    assert found.sha256 == tuple(file.sha256 for part in members for file in (part.recordings, part.frames))


def test_a_database_without_any_apex_is_named(tmp_path):
    members = [database(tmp_path / "casme2", "casme2-"), database(tmp_path / "smic_hs", "smic_hs-", apex="")]
    found = fold.read_pictures(members, [f"{part.prefix}a/{number}" for part in members for number in range(2)])
    assert found.with_apex == {"casme2-a/0"} and found.without_apex == ("smic_hs",)
    assert fold.read_pictures(members[:1], ["casme2-a/0"]).without_apex == ()


@pytest.mark.parametrize("name", ["stabilised.h5", "recordings.csv"])
def test_a_file_that_was_changed_is_named(tmp_path, name):
    part = database(tmp_path / "one")
    with (tmp_path / "one" / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=rf"{name}: expected the content with SHA-256"):
        fold.read_pictures([part], ["a/0"])


def test_a_clip_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected the clip b/7 in .*stabilised\.h5"):
        fold.read_pictures([database(tmp_path / "one")], ["b/7"])
