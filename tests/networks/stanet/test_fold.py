"""A fold as files: what is in them, also of a fold that is not wanted."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import InputError
from pipeline.evaluation import loso
from pipeline.learning.checkpoint import Checkpoint
from pipeline.params import load_params
from pipeline.networks.stanet import fold, trained
from pipeline.networks.stanet.fold import Flow
from pipeline.storage import clip_store
from tests.manifests import part_of
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
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
    return Flow(torch.from_numpy(fields), clips, {"method": "random"}, ("0" * 64,))


def run(params, subject="s2", split=None, **options):
    split = loso.split(TABLE, subject) if split is None else split
    return fold.run(params, subject, CLASSES, split, flow(), CPU, **options)


def table(content):
    return pd.read_csv(io.BytesIO(content))


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
        logits = trained.load(tmp_path / "s2.pt").network(flow().fields[2:4, ..., 4:60, 4:60].float()).logits
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


def test_the_flow_of_several_databases_is_read_by_the_names_of_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    members = []
    for number, database in enumerate(("casme2", "smic")):
        fields = [np.full((3, 2, 8, 8), 10 * number + clip, np.float16) for clip in range(2)]
        clip_store.write_stack(Path(f"{database}.h5"), "flow", ["a/0", "a/1"], fields, {"method": "dis"})
        members.append(part_of(Path(f"{database}.h5"), prefix=f"{database}-"))
    clips = ["smic-a/1", "casme2-a/0", "smic-a/0"]
    found = fold.read_flow(members, clips)
    assert found.clips == tuple(clips) and found.estimator == {"method": "dis"}
    assert found.fields[:, 0, 0, 0, 0].tolist() == [11, 0, 10]
    with pytest.raises(InputError, match="expected clips of table, table, found a/0"):
        fold.read_flow(members, ["smic-a/1", "a/0"])
    with pytest.raises(InputError, match="expected 1 clips, but 1 of them are not among"):
        fold.read_flow(members, ["smic-b/1"])
    clip_store.write_stack(Path("other.h5"), "flow", ["a/0"], fields[:1], {"method": "farneback"})
    with pytest.raises(InputError, match="flow that was estimated in one way"):
        fold.read_flow([members[0], part_of(Path("other.h5"), prefix="other-")], ["casme2-a/0", "other-a/0"])


def test_a_fold_that_is_not_wanted_has_tables_without_rows_and_no_network(params, tmp_path):
    files = run(params(), split=loso.split(TABLE, "s2").iloc[:0])
    assert files.predictions == b"clip,subject,label,predicted,p_negative,p_positive\n"
    assert files.curve == b"epoch,loss,cross_entropy,mask_l1,accuracy\n"
    (tmp_path / "s2.pt").write_bytes(files.model)
    with pytest.raises(InputError, match="empty file of a fold that was not in held_out"):
        Checkpoint.read(tmp_path / "s2.pt")


def test_the_fold_and_its_subject_decide_the_initial_values(params):
    one, two = (run(params(train={"epochs": 1, "lr": 1e-12}), subject) for subject in ("s2", "s3"))
    assert one.model != two.model
    assert run(params(train={"epochs": 1, "lr": 1e-12}, seed=1)).predictions != one.predictions


def test_a_clip_without_flow_is_named(params):
    with pytest.raises(InputError, match="s3/1"):
        fold.run(params(), "s2", CLASSES, loso.split(TABLE, "s2"), flow(CLIPS[:-1]), CPU)


def test_the_arithmetic_of_bf16_runs_on_every_processor(params):
    """Also on those without an LSTM in bfloat16."""
    half, full = (run(params(train={"precision": precision})) for precision in ("bf16", "float32"))
    assert half.model != full.model
    columns = ["p_negative", "p_positive"]
    np.testing.assert_allclose(table(half.predictions)[columns], table(full.predictions)[columns], atol=0.1)


def test_what_an_interrupted_training_left_is_used_only_for_the_same_training(params):
    def key(subject="s2", classes=CLASSES, device=CPU, **changes):
        return fold.key(params(**changes), subject, classes, loso.split(TABLE, subject), flow(), device)

    others = [
        key("s3"),
        key(classes=CLASSES[::-1]),
        key(seed=1),
        key(**{"lambda": 1e-7}),
        key(model={"temporal_attention": False}),
        key(train={"epochs": 3}),
        key(train={"precision": "bf16"}),
        key(train={"threads": 2}),
        key(train={"augmentation": {"views": "all"}}),
    ]
    assert key() == key() and len({key(), *others}) == 1 + len(others)
