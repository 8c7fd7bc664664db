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

from pipeline import leakage, paths, trainings
from pipeline.__main__ import main
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs, training
from pipeline.params import load_params
from pipeline.storage import apexes, class_names, clip_store, parts, sources, tables
from pipeline.storage.apexes import Apex
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
    """A finished study of six clips in the current folder."""
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
        protocols.split(TABLE, [subject]).to_csv(paths.split("synthetic", subject), index=False)
    TABLE.assign(predicted="negative").to_csv(paths.predictions("synthetic"), index=False)


@pytest.fixture
def with_cnn_lstm(study):
    """The same study with another network, which reads frames and needs the apex."""
    own = {"features": 4, "hidden": 4, "epochs": 2, "crop": 56, "lr": 0.01}
    shrink(paths.PARAMS, {"networks": {"names": ["cnn_lstm"], "cnn_lstm": own}})
    frames = np.random.default_rng(1).integers(0, 255, (len(CLIPS), 5, 64, 64, 3)).astype(np.uint8)
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", CLIPS, list(frames))
    recordings = TABLE.assign(onset=10, apex=12, offset=18, n_frames=9, frames="a")
    recordings.to_csv(paths.recordings("synthetic"), index=False)
    apexes.table((clip, Apex(12, "annotated")) for clip in CLIPS).to_csv(paths.apex("synthetic"), index=False)
    files = map(parts.file_of, (path("synthetic") for path in (paths.stabilised, paths.recordings, paths.apex)))
    paths.inputs("synthetic", "cnn_lstm").mkdir(parents=True)
    paths.inputs_of("synthetic", "cnn_lstm", "synthetic").write_text(sources.manifest(*files))
    paths.comparators("synthetic").mkdir()
    TABLE.assign(predicted="positive").to_csv(paths.comparator("synthetic", "cnn_lstm"), index=False)


def prepared(network="stanet"):
    """The training of the fold sub02 of the study in the current folder, and what it reads."""
    params = load_params(paths.PARAMS)
    split = tables.read(paths.split("synthetic", "sub02"))
    made = trainings.training(params, network, "sub02", class_names.read(paths.classes("synthetic")), split)
    return made, inputs.read(made.network, made.settings, trainings.sources_of(params, network), CLIPS)


def predicted(network="stanet"):
    """The probabilities that the stage `train` writes for this fold, as text."""
    made, read = prepared(network)
    rows = fold.run(*made, read, CPU).predictions.decode().splitlines()[1:]
    return [row.split(",")[4:] for row in rows]


def as_text(probabilities):
    return [[str(value) for value in row] for row in probabilities.tolist()]


def test_watching_a_training_changes_nothing_of_it(study):
    watched = leakage.every_epoch(*prepared(), CPU)
    assert watched.shape == (3, 2, 2)
    assert as_text(watched[-1]) == predicted()
    assert not np.array_equal(watched[0], watched[1]) and not np.array_equal(watched[1], watched[2])
    # An epoch in between is the last one of a shorter training.
    shrink(Path("params.yaml"), {"train": {"epochs": 2}})
    assert as_text(watched[1])[0] == predicted()[0]


def test_of_a_training_in_two_phases_the_epochs_of_the_last_one_count(with_cnn_lstm):
    told = []
    watched = leakage.every_epoch(*prepared("cnn_lstm"), CPU, told.append)
    assert [(epoch.phase, epoch.number) for epoch in told] == [("cnn", 1), ("cnn", 2), ("lstm", 3), ("lstm", 4)]
    assert watched.shape == (2, 2, 2) and as_text(watched[-1]) == predicted("cnn_lstm")


def test_the_training_never_sees_a_label_that_was_held_out(study, monkeypatch):
    """`train_fold` is given the labels of the training clips, and numbers of those held out."""
    given = {}

    def watch(phases, clips, train, labels, test, **_):
        given.update(train=train, labels=labels, test=test)
        raise InterruptedError

    monkeypatch.setattr(training, "train_fold", watch)
    with pytest.raises(InterruptedError):
        leakage.every_epoch(*prepared(), CPU)
    assert given["train"].tolist() == [0, 1, 4, 5] and given["test"].tolist() == [2, 3]
    assert given["labels"].tolist() == [0, 1, 0, 1]


def probabilities(*epochs):
    """Of one fold: the class that each clip is given after each epoch."""
    return np.eye(2)[np.array(epochs)]


def test_the_best_epoch_of_each_fold_is_the_first_of_the_best_and_scores_are_pooled():
    splits = {subject: protocols.split(TABLE, [subject]) for subject in SUBJECTS}
    found = leakage.compare(
        "synthetic",
        "stanet",
        "STANet",
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
    assert list(found.clips.columns) == ["clip", "subject", "label", "fold", "last", "best", "best_epoch"]
    text = leakage.as_text(found)
    assert "Accuracy 83.33 %" in text and "Accuracy +33.33" in text and "is no result" in text


def test_the_command_writes_a_page_and_a_table_of_its_own_and_touches_nothing_else(study):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    result = CliRunner().invoke(main, ["leakage"])
    assert result.exit_code == 0, result.output
    assert "each fold's best epoch, chosen on its test clips" in result.output
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.parts[0] != ".resume"}
    written = {Path("results/synthetic/leakage.html"), Path("results/synthetic/leakage.csv")}
    assert after.keys() - before.keys() == written and {key: after[key] for key in before} == before
    page = Path("results/synthetic/leakage.html").read_text()
    assert "not a result" in re.sub(r"\s+", " ", page) and "http" not in page
    assert tables.read(Path("results/synthetic/leakage.csv"))["clip"].tolist() == list(CLIPS)


def test_another_network_of_the_study_has_a_page_and_a_table_in_its_own_folder(with_cnn_lstm):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    result = CliRunner().invoke(main, ["leakage", "--network", "cnn_lstm"])
    assert result.exit_code == 0, result.output
    assert "synthetic, CNN+LSTM: what choosing the epoch" in result.output
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.parts[0] != ".resume"}
    folder = Path("results/synthetic/cnn_lstm")
    assert after.keys() - before.keys() == {folder / "leakage.html", folder / "leakage.csv"}
    assert {key: after[key] for key in before} == before
    assert "CNN+LSTM on synthetic" in (folder / "leakage.html").read_text()
    table = tables.read(folder / "leakage.csv")
    assert table["clip"].tolist() == list(CLIPS) and set(table["best_epoch"]) <= {"1", "2"}  # epochs of the LSTM
    tested = table[table["fold"] == "sub02"]
    assert [CLASSES[np.argmax(list(map(float, row)))] for row in predicted("cnn_lstm")] == tested["last"].tolist()


@pytest.mark.parametrize("network", ["vgg", "cnn_lstm"])
def test_a_network_that_the_study_does_not_have_is_one_clear_error(study, network):
    """Whether nobody knows it, or params.yaml does not list it."""
    result = CliRunner().invoke(main, ["leakage", "--network", network])
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert "expected one of" in result.output and network in result.output


def test_a_network_that_the_study_cannot_have_is_one_clear_error(with_cnn_lstm):
    TABLE[:0].assign(predicted="").to_csv(paths.comparator("synthetic", "cnn_lstm"), index=False)
    result = CliRunner().invoke(main, ["leakage", "--network", "cnn_lstm"])
    assert result.exit_code == 1 and "synthetic cannot have this network" in result.output


def test_an_interrupted_run_goes_on_with_the_next_fold(study, monkeypatch):
    trained, every_epoch = [], leakage.every_epoch

    def until_the_second(made, *rest):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(made.fold.name)
        return every_epoch(made, *rest)

    monkeypatch.setattr(leakage, "every_epoch", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        leakage.run()
    assert trained == SUBJECTS[:2] and not Path("results/synthetic/leakage.html").exists()
    again = []
    monkeypatch.setattr(leakage, "every_epoch", lambda *args: again.append(args[0].fold.name) or every_epoch(*args))
    leakage.run()
    assert again == SUBJECTS[2:]


def test_a_study_that_was_not_run_is_one_clear_error(study):
    paths.predictions("synthetic").unlink()
    result = CliRunner().invoke(main, ["leakage"])
    assert (
        result.exit_code == 1 and "found no results/synthetic/predictions.csv. Run `dvc repro` first" in result.output
    )


def test_no_stage_no_parameter_and_no_other_file_of_the_code_knows_of_it():
    own = {"pipeline/leakage.py", "pipeline/leakage.html.jinja", "pipeline/__main__.py"}
    files = [*(ROOT / "pipeline").rglob("*"), *(ROOT / "stages").iterdir()]
    files = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    assert {ROOT / name for name in own} <= set(files)
    for file in [*files, *(ROOT / name for name in ("dvc.yaml", "params.yaml"))]:
        if file.relative_to(ROOT).as_posix() not in own:
            assert b"leakage" not in file.read_bytes().lower(), file
    assert "leakage" not in json.dumps(asdict(load_params(ROOT / "params.yaml")))
