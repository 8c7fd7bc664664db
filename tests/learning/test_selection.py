"""Settings chosen inside a fold: by its training subjects alone, the best of the candidates, in every run the same."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import networks
from pipeline.errors import InputError
from pipeline.evaluation import metrics, protocols
from pipeline.learning import fold, selection
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.fold import Fold
from pipeline.learning.inputs import Inputs
from pipeline.learning.selection import Selection
from pipeline.storage import resume

CPU = torch.device("cpu")
CLASSES = ["negative", "positive"]
CLIPS = tuple(f"s{subject}/{number}" for subject in range(4) for number in range(4))
TABLE = pd.DataFrame({"clip": CLIPS, "subject": [clip[:2] for clip in CLIPS], "label": CLASSES * 8})
NETWORK = networks.network("stanet")
SETTINGS = networks.settings("stanet", epochs=1, lr=1e-3, crop=40, scales=[1.0], views="random", batch_size=4)
AMONG = Selection(((1e-8, SETTINGS), (1.0, replace(SETTINGS, lambda_=1.0))), (1, 2), folds=3, score="uf1")


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


def inputs(strange="", value=0.0):
    rng = np.random.default_rng(0)
    fields = rng.normal(scale=0.1, size=(len(CLIPS), 3, 2, 48, 48)).astype(np.float16)
    for row, clip in enumerate(CLIPS):
        fields[row, :, 1, 24 * (row % 2) : 24 * (row % 2) + 24] += 1
        if strange and clip.startswith(strange):
            fields[row] = value
    return Inputs(CLIPS, torch.from_numpy(fields), frozenset(), (), 4, 48, {"method": "x"}, ("0" * 64,))


def task(table=TABLE, among=AMONG, subject="s0"):
    return Fold("d", subject, CLASSES, protocols.split(table, [subject]), 0, 1, True, among)


def run(pieces=None, on_epoch=None, read=None, **changes):
    return fold.run(NETWORK, SETTINGS, task(**changes), read or inputs(), CPU, pieces, on_epoch)


def choices(files):
    return pd.read_csv(io.BytesIO(files.choices))


def test_every_candidate_is_scored_and_the_best_is_chosen_with_few_epochs_first():
    table = choices(run())
    assert list(table.columns) == ["lambda", "epochs", "score", "chosen"]
    assert list(zip(table["lambda"], table["epochs"], strict=True)) == [(1e-8, 1), (1e-8, 2), (1, 1), (1, 2)]
    [chosen] = table[table["chosen"]].to_dict("records")
    best = table[table["score"] == table["score"].max()]
    assert chosen["epochs"] == best["epochs"].min()
    assert chosen["lambda"] == best[best["epochs"] == chosen["epochs"]]["lambda"].iloc[0]


def test_the_fold_is_then_trained_as_with_the_chosen_settings(tmp_path):
    files = run()
    [chosen] = choices(files)[lambda table: table["chosen"]].to_dict("records")
    settings = replace(SETTINGS, lambda_=chosen["lambda"], epochs=chosen["epochs"])
    plain = fold.run(NETWORK, settings, task(among=None), inputs(), CPU)
    assert files.predictions == plain.predictions and files.curve == plain.curve
    (tmp_path / "s0.pt").write_bytes(files.model)
    params = Checkpoint.read(tmp_path / "s0.pt").params
    assert (params["lambda"], params["train"]["epochs"]) == (chosen["lambda"], chosen["epochs"])
    assert params["selection"] == {"epochs": [1, 2], "lambda": [1e-8, 1.0], "folds": 3, "score": "uf1"}
    assert plain.choices == b"lambda,epochs,score,chosen\n"


def test_the_test_subject_takes_no_part_in_the_choice():
    """Neither its labels nor its clips change any inner score."""
    honest = run().choices
    swapped = TABLE.assign(label=TABLE["label"].where(TABLE["subject"] != "s0", "positive"))
    assert run(table=swapped).choices == honest
    assert run(read=inputs("s0", value=50.0)).choices == honest


def test_a_training_subject_does_take_part():
    assert run(read=inputs("s1", value=50.0)).choices != run().choices


def test_inner_folds_hold_whole_subjects_out_and_all_of_them():
    train = task().rows("train")
    masks = list(selection._folds(train, 3))
    assert np.sum(masks, axis=0).tolist() == [1] * len(train)
    for mask in masks:
        assert not set(train["subject"][mask]) & set(train["subject"][~mask])
    with pytest.raises(InputError, match=r"selection.folds: .*expected at most 3 folds.*found 4"):
        list(selection._folds(train, 4))


@pytest.mark.parametrize("name", ["uf1", "accuracy"])
def test_the_inner_score_is_that_of_the_study(name):
    labels, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])
    scores = metrics.scores(metrics.confusion_matrix(list(map(str, labels)), list(map(str, predicted)), list("012")))
    assert selection._score(name, labels, predicted) == pytest.approx(scores[name], abs=1e-15)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stop", [5, 13])
def test_an_interrupted_fold_goes_on_with_the_same_bytes(tmp_path, stop):
    """In the third inner training, and in the last one, that of the fold itself."""
    whole, seen = run(among=replace(AMONG, epochs=(2,))), []

    def interrupt(epoch):
        if epoch.number == stop:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(resume.Pieces(tmp_path / "kept"), interrupt, among=replace(AMONG, epochs=(2,)))
    files = run(
        resume.Pieces(tmp_path / "kept"), lambda epoch: seen.append(epoch.number), among=replace(AMONG, epochs=(2,))
    )
    assert files == whole and seen[0] == (5 if stop == 5 else 14)
    assert fold.epochs(NETWORK, SETTINGS, replace(AMONG, epochs=(2,))) == 14 == seen[-1]
