"""A fold of CNN+LSTM as files: what it learns from, what it never sees, and where the apex is not known."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import networks, trainings
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.inputs import Inputs
from pipeline.params import load_params
from pipeline.storage import apexes, clip_store, resume
from pipeline.storage.apexes import Apex
from pipeline.storage.digests import sha256
from pipeline.storage.parts import File
from pipeline.storage.sources import Source
from tests.tiny import shrink

ROOT = Path(__file__).parents[3]
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

    def make(own_changes=None, **changes):
        shutil.copy(ROOT / "params.yaml", tmp_path)
        tiny = {"subjects": ["s1", "s2", "s3"], "resize": {"size": SIZE}, "model": {"pooling": 1}}
        own = {"features": 8, "hidden": 8, "epochs": 2, "batch_size": 4, "crop": 56}
        training = {"threads": 1, "augmentation": {"crop": 56}}
        shrink(tmp_path / "params.yaml", tiny | {"train": training, "networks": {"cnn_lstm": own}})
        shrink(tmp_path / "params.yaml", {"networks": {"cnn_lstm": own_changes or {}}} | changes)
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
    known = frozenset(with_apex), tuple(without_apex)
    return Inputs(CLIPS, torch.from_numpy(states), *known, 20, SIZE, {}, ("0" * 64,))


def training(params, name="s2", table=TABLE, subjects=None, classes=CLASSES):
    return trainings.training(params, "cnn_lstm", name, classes, protocols.split(table, subjects or [name]))


def run(params, name="s2", table=TABLE, shown=None, subjects=None, **options):
    return fold.run(*training(params, name, table, subjects), shown or pictures(), CPU, **options)


def table_of(content):
    return pd.read_csv(io.BytesIO(content))


def test_it_learns_what_can_be_learned(params):
    found = table_of(run(params({"epochs": 20, "lr": 3e-3})).predictions)
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
    assert found.params["cnn_lstm"]["features"] == 8 and found.params["train"]["epochs"] == 2
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
    task = training(params())
    files = fold.run(*task._replace(fold=replace(task.fold, split=task.fold.split[:0])), inputs.NOTHING, CPU)
    assert files.predictions == b"clip,subject,label,predicted,p_negative,p_positive\n"
    (tmp_path / "s2.pt").write_bytes(files.model)
    with pytest.raises(InputError, match="empty file of a fold"):
        Checkpoint.read(tmp_path / "s2.pt")


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stop", [2, 3, 5, 6], ids=["the CNN", "between them", "the LSTM", "after both"])
def test_an_interrupted_fold_ends_with_the_bytes_of_an_uninterrupted_one(params, tmp_path, stop):
    three = params({"epochs": 3})

    def interrupt(epoch):
        assert epoch.phase == ("cnn" if epoch.number <= 3 else "lstm")
        if epoch.number == stop:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(three, pieces=resume.Pieces(tmp_path / "kept"), on_epoch=interrupt)
    assert resume.Pieces(tmp_path / "kept").finished == {min(stop, 3), stop}
    trained = []
    pieces = resume.Pieces(tmp_path / "kept")
    rest = run(three, pieces=pieces, on_epoch=lambda epoch: trained.append(epoch.number))
    assert trained == list(range(stop + 1, 7)) and rest == run(three)
    task = training(three)
    assert fold.epochs(task.network, task.settings) == 6


def test_what_an_interrupted_training_left_is_used_only_for_the_same_training(params):
    def key(name="s2", classes=CLASSES, own=None, subjects=None, shown=None, **changes):
        task = training(params(own, **changes), name, TABLE, subjects, classes)
        return fold.key(*task, shown or pictures(), CPU)

    others = [
        key("s3"),
        key(subjects=["s2", "s3"]),
        key(classes=CLASSES[::-1]),
        key(seed=1),
        key(train={"threads": 2}),
        key(own={"epochs": 3}),
        key(own={"hidden": 9}),
        key(own={"weights": {"state_error": 0.5}}),
        key(shown=pictures()._replace(sha256=("1" * 64,))),
    ]
    assert key() == key() and len({key(), *others}) == 1 + len(others)
    # STANet's own settings are none of its.
    assert key() == key(train={"precision": "bf16", "epochs": 3}, model={"readout": "last"})


def test_a_fold_of_two_test_subjects_trains_with_neither_and_predicts_both(params, tmp_path):
    files = run(params(), "fold1", subjects=["s3", "s1"])
    assert list(table_of(files.predictions)["clip"]) == [clip for clip in CLIPS if not clip.startswith("s2")]
    (tmp_path / "fold1.pt").write_bytes(files.model)
    assert Checkpoint.read(tmp_path / "fold1.pt").test_subjects == ["s1", "s3"]
    swapped = TABLE.assign(label=TABLE["label"].where(TABLE["subject"] == "s2", "positive"))
    assert run(params(), "fold1", swapped, subjects=["s3", "s1"]).model == files.model
    assert run(params(), "fold2", subjects=["s3", "s1"]).model != files.model


def database(folder, prefix="", apex: int | None = 12):
    """The files of a database of two clips, 5 frames of 4 px whose grey level is 10 x the number of the frame."""
    folder.mkdir()
    (folder / "recordings.csv").write_text(
        "clip,subject,label,onset,apex,offset,n_frames,frames\n"
        f"a/0,a,happy,10,{apex or ''},18,9,a\na/1,a,sad,1,,9,9,a\n"
    )
    frames = [
        np.arange(5, dtype=np.uint8)[:, None, None, None] * 10 + np.zeros((5, 4, 4, 3), np.uint8) + add
        for add in (0, 1)
    ]
    clip_store.write_stack(
        folder / "stabilised.h5", "frames", ["a/0", "a/1"], [frame.astype(np.uint8) for frame in frames]
    )
    known = {"a/0": Apex(apex, "annotated") if apex else Apex(None, ""), "a/1": Apex(None, "")}
    apexes.table(known.items()).to_csv(folder / "apex.csv", index=False)
    names = ("stabilised.h5", "recordings.csv", "apex.csv")
    return Source(folder.name, prefix, *(File((folder / name).as_posix(), sha256(folder / name)) for name in names))


def read(sources, clips):
    return inputs.read(networks.network("cnn_lstm"), networks.settings("cnn_lstm"), sources, clips)


def test_the_states_are_read_from_the_frames_and_the_apexes_from_their_table(tmp_path):
    members = [database(tmp_path / name, f"{name}-") for name in ("one", "two")]
    found = read(members, ["two-a/1", "one-a/0"])
    assert found.arrays.shape == (2, 5, 1, 4, 4) and found.arrays.dtype == torch.uint8
    assert (found.frames, found.size) == (5, 4)
    # a/1 has no apex: the middle, 2. a/0: 2 of 8 recorded frames are frame 1 of 5; 0.5 goes to 0, 2.5 to 2.
    assert found.arrays[:, :, 0, 0, 0].tolist() == [[1, 11, 21, 31, 41], [0, 0, 10, 20, 40]]
    assert found.with_apex == {"one-a/0"} and found.clips == ("two-a/1", "one-a/0")
    assert set(found.sha256) == {file.sha256 for part in members for file in part.files}


def test_a_database_without_any_apex_is_named(tmp_path):
    members = [database(tmp_path / "casme2", "casme2-"), database(tmp_path / "smic_hs", "smic_hs-", apex=None)]
    found = read(members, [f"{part.prefix}a/{number}" for part in members for number in range(2)])
    assert found.with_apex == {"casme2-a/0"} and found.without_apex == ("smic_hs",)
    assert read(members[:1], ["casme2-a/0"]).without_apex == ()


@pytest.mark.parametrize("name", ["stabilised.h5", "recordings.csv", "apex.csv"])
def test_a_file_that_was_changed_is_named(tmp_path, name):
    part = database(tmp_path / "one")
    with (tmp_path / "one" / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=rf"{name}: expected the content with SHA-256"):
        read([part], ["a/0"])


def test_a_clip_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"1 of them are not among the 2 of the file \(b/7\)"):
        read([database(tmp_path / "one")], ["b/7"])
