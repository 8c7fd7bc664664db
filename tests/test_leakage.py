"""`python -m pipeline leakage`: the training of the study once more, watched, and nothing of the study knows of it."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pipeline import leakage, paths
from pipeline.__main__ import main
from pipeline.evaluation import loso
from pipeline.learning import training
from pipeline.networks.stanet import fold
from pipeline.params import load_params
from pipeline.storage import clip_store, parts, tables
from tests.manifests import part_of
from tests.tiny import shrink

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
CLASSES = ["negative", "positive"]
SUBJECTS = ["sub01", "sub02", "sub03"]
CLIPS = tuple(f"{subject}/{number}" for subject in SUBJECTS for number in range(2))
TABLE = pd.DataFrame({"clip": CLIPS, "subject": [clip[:5] for clip in CLIPS], "label": CLASSES * 3})


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A finished study of six clips in the current folder; its parameters."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    tiny = {"subjects": SUBJECTS, "resize": {"size": 64}, "model": {"pooling": 1}, "runtime": {"device": "cpu"}}
    shrink(
        tmp_path / "params.yaml",
        tiny | {"train": {"epochs": 3, "threads": 1, "lr": 0.01, "augmentation": {"crop": 56}}},
    )
    for path in (paths.parts("synthetic"), paths.splits("synthetic"), paths.results("synthetic")):
        path.mkdir(parents=True)
    fields = np.random.default_rng(0).normal(size=(len(CLIPS), 2, 2, 64, 64)).astype(np.float16)
    clip_store.write_stack(paths.flow("synthetic"), "flow", CLIPS, list(fields), {"method": "random"})
    manifest = parts.as_text(part_of(paths.flow("synthetic")))
    paths.part("synthetic", "synthetic").write_text(manifest)
    paths.classes("synthetic").write_text(json.dumps(CLASSES))
    for subject in SUBJECTS:
        loso.split(TABLE, subject).to_csv(paths.split("synthetic", subject), index=False)
    TABLE.assign(predicted="negative").to_csv(paths.predictions("synthetic"), index=False)
    return load_params(tmp_path / "params.yaml")


def test_watching_a_training_changes_nothing_of_it(study):
    split = tables.read(paths.split("synthetic", "sub02"))
    flow = fold.read_flow(parts.read([paths.part("synthetic", "synthetic")]), CLIPS)
    watched = leakage.every_epoch(study, "sub02", CLASSES, split, flow, CPU)
    assert watched.shape == (3, 2, 2)
    predictions = fold.run(study, "sub02", CLASSES, split, flow, CPU).predictions.decode()
    expected = [row.split(",")[4:] for row in predictions.splitlines()[1:]]
    assert [[str(value) for value in row] for row in watched[-1].tolist()] == expected
    assert not np.array_equal(watched[0], watched[1]) and not np.array_equal(watched[1], watched[2])
    # An epoch in between is the last one of a shorter training.
    shrink(Path("params.yaml"), {"train": {"epochs": 2}})
    shorter = fold.run(load_params(Path("params.yaml")), "sub02", CLASSES, split, flow, CPU).predictions.decode()
    assert shorter.splitlines()[1].split(",")[4:] == [str(value) for value in watched[1][0].tolist()]


def test_the_training_never_sees_a_label_that_was_held_out(study, monkeypatch):
    """`train_fold` is given the labels of the training clips, and numbers of those held out."""
    given = {}

    def watch(network, objective, flow, train, labels, test, **_):
        given.update(train=train, labels=labels, test=test)
        raise InterruptedError

    monkeypatch.setattr(training, "train_fold", watch)
    split = tables.read(paths.split("synthetic", "sub02"))
    flow = fold.read_flow(parts.read([paths.part("synthetic", "synthetic")]), CLIPS)
    with pytest.raises(InterruptedError):
        leakage.every_epoch(study, "sub02", CLASSES, split, flow, CPU)
    assert given["train"].tolist() == [0, 1, 4, 5] and given["test"].tolist() == [2, 3]
    assert given["labels"].tolist() == [0, 1, 0, 1]


def probabilities(*epochs):
    """Of one fold: the class that each clip is given after each epoch."""
    return np.eye(2)[np.array(epochs)]


def test_the_best_epoch_of_each_fold_is_the_first_of_the_best_and_scores_are_pooled():
    splits = {subject: loso.split(TABLE, subject) for subject in SUBJECTS}
    found = leakage.compare(
        "synthetic",
        CLASSES,
        splits,
        {
            "sub01": probabilities([1, 0], [0, 1], [0, 1]),  # right in the second and the third
            "sub02": probabilities([0, 0], [1, 0], [1, 1]),  # half right in the first and the third
            "sub03": probabilities([0, 1], [1, 0], [1, 0]),  # right in the first
        },
        TABLE.assign(predicted="negative"),
    )
    assert found.clips.drop_duplicates("subject")["best_epoch"].tolist() == [2, 1, 1]
    honest, last, best = (claim.scores["accuracy"] for claim in found.claims)
    assert (honest, last, best) == (3 / 6, 3 / 6, 5 / 6)
    assert leakage.gained(found)["accuracy"] == pytest.approx(2 / 6)
    assert list(found.clips.columns) == ["clip", "subject", "label", "last", "best", "best_epoch"]
    text = leakage.as_text(found)
    assert "Accuracy 83.33 %" in text and "Accuracy +33.33" in text and "is no result" in text


def test_the_command_writes_a_page_and_a_table_of_its_own_and_touches_nothing_else(study):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    result = CliRunner().invoke(main, ["leakage"])
    assert result.exit_code == 0, result.output
    assert "each fold's best epoch, chosen on its test subject" in result.output
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.parts[0] != ".resume"}
    written = {Path("results/synthetic/leakage.html"), Path("results/synthetic/leakage.csv")}
    assert after.keys() - before.keys() == written and {key: after[key] for key in before} == before
    page = Path("results/synthetic/leakage.html").read_text()
    assert "no result" in re.sub(r"\s+", " ", page) and "http" not in page
    assert tables.read(Path("results/synthetic/leakage.csv"))["clip"].tolist() == list(CLIPS)


def test_an_interrupted_run_goes_on_with_the_next_fold(study, monkeypatch):
    trained, every_epoch = [], leakage.every_epoch

    def until_the_second(params, subject, *rest):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(subject)
        return every_epoch(params, subject, *rest)

    monkeypatch.setattr(leakage, "every_epoch", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        leakage.run()
    assert trained == SUBJECTS[:2] and not Path("results/synthetic/leakage.html").exists()
    again = []
    monkeypatch.setattr(leakage, "every_epoch", lambda *args: again.append(args[1]) or every_epoch(*args))
    leakage.run()
    assert again == SUBJECTS[2:]


def test_a_study_that_was_not_run_is_one_clear_error(study):
    paths.predictions("synthetic").unlink()
    result = CliRunner().invoke(main, ["leakage"])
    assert (
        result.exit_code == 1 and "found no results/synthetic/predictions.csv. Run `dvc repro` first" in result.output
    )


def test_no_stage_no_parameter_and_no_other_file_of_the_code_knows_of_it():
    own = {"pipeline/leakage.py", "pipeline/__main__.py"}
    files = [*(ROOT / "pipeline").rglob("*"), *(ROOT / "stages").iterdir()]
    files = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    assert {ROOT / name for name in own} <= set(files)
    for file in [*files, *(ROOT / name for name in ("dvc.yaml", "params.yaml"))]:
        if file.relative_to(ROOT).as_posix() not in own:
            assert b"leakage" not in file.read_bytes().lower(), file
    assert "leakage" not in json.dumps(asdict(load_params(ROOT / "params.yaml")))
