"""A fold of STANet as files: what is in them, also of a fold that is not trained."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import trainings
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.inputs import Inputs
from pipeline.networks.stanet import trained
from pipeline.params import load_params
from pipeline.storage import clip_store, resume
from pipeline.storage.digests import sha256
from pipeline.storage.parts import File
from pipeline.storage.sources import Source
from tests.tiny import shrink

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
CLASSES = ["negative", "positive"]
CLIPS = tuple(f"{subject}/{number}" for subject in ("s1", "s2", "s3") for number in range(2))
TABLE = pd.DataFrame({"clip": CLIPS, "subject": [clip[:2] for clip in CLIPS], "label": CLASSES * 3})


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def params(tmp_path):
    """Parameters of a study of six clips; some can be changed."""

    def make(**changes):
        shutil.copy(ROOT / "params.yaml", tmp_path)
        tiny = {"subjects": ["s1", "s2", "s3"], "resize": {"size": 64}, "model": {"pooling": 1}}
        shrink(tmp_path / "params.yaml", tiny | {"train": {"epochs": 2, "threads": 1, "augmentation": {"crop": 56}}})
        shrink(tmp_path / "params.yaml", changes)
        return load_params(tmp_path / "params.yaml")

    return make


def flow(clips=CLIPS):
    fields = np.random.default_rng(0).normal(size=(len(clips), 3, 2, 64, 64)).astype(np.float16)
    return Inputs(clips, torch.from_numpy(fields), frozenset(), (), 4, 64, {"method": "random"}, ("0" * 64,))


def training(params, name="s2", split=None, subjects=None, classes=CLASSES):
    split = protocols.split(TABLE, subjects or [name]) if split is None else split
    return trainings.training(params, "stanet", name, classes, split)


def run(params, name="s2", split=None, subjects=None, shown=None, **options):
    return fold.run(*training(params, name, split, subjects), shown or flow(), CPU, **options)


def table(content):
    return pd.read_csv(io.BytesIO(content))


def checkpoint(content, tmp_path):
    (tmp_path / "fold.pt").write_bytes(content)
    return Checkpoint.read(tmp_path / "fold.pt")


def test_the_network_comes_with_all_that_is_needed_to_run_it(params, tmp_path):
    path = tmp_path / "s2.pt"
    path.write_bytes(run(params()).model)
    found = Checkpoint.read(path)
    assert (found.held_out, found.classes, found.frames, found.size) == ("s2", CLASSES, 4, 64)
    assert found.dataset == params().dataset and found.device == "cpu"
    assert list(found.params) == ["lambda", "seed", "model", "train", "flow"]
    assert found.params["flow"] == {"method": "random"} and found.params["train"]["augmentation"]["crop"] == 56
    assert set(found.versions) == {"python", "torch", "numpy"}
    network = trained.load(path).network
    assert not network.training


def test_the_predictions_are_those_of_the_network_on_the_clips_held_out(params, tmp_path):
    files = run(params())
    predictions = table(files.predictions)
    assert list(predictions.columns) == ["clip", "subject", "label", "predicted", "p_negative", "p_positive"]
    assert list(predictions["clip"]) == ["s2/0", "s2/1"]
    (tmp_path / "s2.pt").write_bytes(files.model)
    with torch.no_grad():
        logits = trained.load(tmp_path / "s2.pt").network(flow().arrays[2:4, ..., 4:60, 4:60].float()).logits
    expected = torch.softmax(logits.double(), dim=1).numpy()
    np.testing.assert_allclose(predictions[["p_negative", "p_positive"]], expected, rtol=1e-4)
    assert list(predictions["predicted"]) == [CLASSES[number] for number in expected.argmax(axis=1)]


@pytest.mark.parametrize("attention", [True, False])
def test_the_curve_shows_the_loss_and_what_it_is_made_of(params, attention):
    curve = table(run(params(**{"lambda": 1e-3, "model": {"spatial_attention": attention}})).curve)
    assert list(curve.columns) == ["epoch", "loss", "cross_entropy", "mask_l1", "accuracy"]
    assert list(curve["epoch"]) == [1, 2]
    np.testing.assert_allclose(curve["loss"], curve["cross_entropy"] + 1e-3 * curve["mask_l1"], rtol=1e-5)
    assert (curve["mask_l1"] > 0).all() == attention and (curve["mask_l1"] == 0).all() != attention


def source(path, database, prefix=""):
    return Source(database, prefix, File(path.as_posix(), sha256(path)), None)


def read(sources, clips, training):
    return inputs.read(training.network, training.settings, sources, clips)


def test_the_flow_of_several_databases_is_read_by_the_names_of_the_study(params, tmp_path, monkeypatch):
    task = training(params())
    monkeypatch.chdir(tmp_path)
    members = []
    for number, database in enumerate(("casme2", "smic")):
        fields = [np.full((3, 2, 8, 8), 10 * number + clip, np.float16) for clip in range(2)]
        clip_store.write_stack(Path(f"{database}.h5"), "flow", ["a/0", "a/1"], fields, {"method": "dis"})
        members.append(source(Path(f"{database}.h5"), database, f"{database}-"))
    clips = ["smic-a/1", "casme2-a/0", "smic-a/0"]
    found = read(members, clips, task)
    assert found.clips == tuple(clips) and found.source == {"method": "dis"}
    assert found.arrays.dtype == torch.float16 and found.arrays[:, 0, 0, 0, 0].tolist() == [11, 0, 10]
    assert (found.frames, found.size) == (4, 8)
    assert found.sha256 == tuple(member.arrays.sha256 for member in members)
    with pytest.raises(InputError, match="expected clips of casme2, smic, found a/0"):
        read(members, ["smic-a/1", "a/0"], task)
    with pytest.raises(InputError, match="expected 1 clips, but 1 of them are not among"):
        read(members, ["smic-b/1"], task)
    clip_store.write_stack(Path("other.h5"), "flow", ["a/0"], fields[:1], {"method": "farneback"})
    with pytest.raises(InputError, match="flow that was made in one way"):
        read([members[0], source(Path("other.h5"), "other", "other-")], ["casme2-a/0", "other-a/0"], task)


def test_flow_that_was_changed_is_named(params, tmp_path):
    clip_store.write_stack(tmp_path / "a.h5", "flow", ["a/0"], [np.zeros((3, 2, 8, 8), np.float16)], {"method": "dis"})
    member = source(tmp_path / "a.h5", "casme2")
    with (tmp_path / "a.h5").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"a\.h5: expected the content with SHA-256"):
        read([member], ["a/0"], training(params()))


def test_a_fold_that_is_not_wanted_has_tables_without_rows_and_no_network(params, tmp_path):
    files = run(params(), split=protocols.split(TABLE, ["s2"]).iloc[:0], shown=inputs.NOTHING)
    assert files.predictions == b"clip,subject,label,predicted,p_negative,p_positive\n"
    assert files.curve == b"epoch,loss,cross_entropy,mask_l1,accuracy\n"
    with pytest.raises(InputError, match="empty file of a fold that was not in held_out"):
        checkpoint(files.model, tmp_path)


def test_the_fold_and_its_seed_decide_the_initial_values(params):
    one, two = (run(params(train={"epochs": 1, "lr": 1e-12}), name) for name in ("s2", "s3"))
    assert one.model != two.model
    assert run(params(train={"epochs": 1, "lr": 1e-12}, seed=1)).predictions != one.predictions


def test_a_fold_of_two_test_subjects_trains_with_neither_and_predicts_both(params, tmp_path):
    files = run(params(), "fold1", subjects=["s3", "s1"])
    predictions = table(files.predictions)
    assert list(predictions["clip"]) == ["s1/0", "s1/1", "s3/0", "s3/1"]
    found = checkpoint(files.model, tmp_path)
    assert found.held_out == ["s1", "s3"] and found.test_subjects == ["s1", "s3"]
    # What the test subjects look like and what their labels are changes nothing that is learnt.
    other = flow()
    other.arrays[[0, 1, 4, 5]] = 7
    swapped = protocols.split(
        TABLE.assign(label=TABLE["label"].where(TABLE["subject"] == "s2", "positive")), ["s1", "s3"]
    )
    blind = checkpoint(run(params(), "fold1", split=swapped, shown=other).model, tmp_path)
    assert all(torch.equal(value, blind.state_dict[name]) for name, value in found.state_dict.items())
    # A changed training clip does.
    other.arrays[2] = 7
    seeing = checkpoint(run(params(), "fold1", split=swapped, shown=other).model, tmp_path)
    assert not all(torch.equal(value, seeing.state_dict[name]) for name, value in found.state_dict.items())


def test_the_seed_of_a_fold_is_that_of_its_name(params):
    """Two folds with equal test subjects are two draws."""
    one, two, same = (run(params(), name, subjects=["s1", "s3"]) for name in ("fold1", "fold2", "fold1"))
    assert one == same and one.predictions != two.predictions


def test_a_clip_without_flow_is_named(params):
    with pytest.raises(InputError, match="s3/1"):
        run(params(), shown=flow(CLIPS[:-1]))


def test_the_arithmetic_of_bf16_runs_on_every_processor(params):
    """Also on those without an LSTM in bfloat16."""
    half, full = (run(params(train={"precision": precision})) for precision in ("bf16", "float32"))
    assert half.model != full.model
    columns = ["p_negative", "p_positive"]
    np.testing.assert_allclose(table(half.predictions)[columns], table(full.predictions)[columns], atol=0.1)


class Interrupted(Exception):
    pass


def test_an_interrupted_fold_ends_with_the_bytes_of_an_uninterrupted_one(params, tmp_path):
    def stop(epoch):
        if epoch.number == 2:
            raise Interrupted

    three = params(train={"epochs": 3})
    with pytest.raises(Interrupted):
        run(three, pieces=resume.Pieces(tmp_path / "kept"), on_epoch=stop)
    trained_epochs = []
    pieces = resume.Pieces(tmp_path / "kept")
    rest = run(three, pieces=pieces, on_epoch=lambda epoch: trained_epochs.append(epoch.number))
    assert trained_epochs == [3] and rest == run(three)


def test_what_an_interrupted_training_left_is_used_only_for_the_same_training(params):
    def key(name="s2", classes=CLASSES, device=CPU, subjects=None, **changes):
        return fold.key(*training(params(**changes), name, None, subjects, classes), flow(), device)

    others = [
        key("s3"),
        key("s3", subjects=["s2"]),
        key(subjects=["s2", "s3"]),
        key(classes=CLASSES[::-1]),
        key(seed=1),
        key(**{"lambda": 1e-7}),
        key(model={"temporal_attention": False}),
        key(train={"epochs": 3}),
        key(train={"precision": "bf16"}),
        key(train={"threads": 2}),
        key(train={"deterministic": False}),
        key(train={"augmentation": {"views": "all"}}),
    ]
    assert key() == key() and len({key(), *others}) == 1 + len(others)
