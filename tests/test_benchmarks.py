"""Every benchmark still fits the code that it measures, as far as it can be told without measuring."""

import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from benchmarks import comparators, head_motion, learning
from pipeline import networks, paths
from pipeline.learning import fold
from pipeline.storage import apexes, clip_store, parts
from pipeline.storage.apexes import Apex
from tests.tiny import shrink

ROOT = Path(__file__).parents[1]
README = (ROOT / "benchmarks/README.md").read_text()
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "machine"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_is_a_command_that_says_what_it_does(name):
    answer = CliRunner().invoke(import_module(f"benchmarks.{name}").main, ["--help"])
    assert answer.exit_code == 0 and "--help" in answer.output
    assert f"python -m benchmarks.{name}" in README + (ROOT / "docs/reading.md").read_text()


@pytest.mark.whole_run
def test_the_benchmark_of_table_1_runs_both_stages_of_a_method():
    """One that looks for landmarks, which reads most of what the benchmark must lay ready."""
    answer = CliRunner().invoke(comparators.main, ["--clips", "4", "--subjects", "2", "--method", "mdmo"])
    assert answer.exit_code == 0, answer.output
    row = answer.output.splitlines()[1].split()
    assert row[:3] == ["4", "2", "mdmo"] and all(float(each) > 0 for each in row[3:])


@pytest.mark.whole_run
def test_the_benchmark_of_head_motion_ranks_the_ways_as_the_docs_do():
    answer = CliRunner().invoke(head_motion.main, ["--seed", "1", "--clips", "2"])
    assert answer.exit_code == 0, answer.output
    header, *rows = answer.output.splitlines()
    assert header.split()[:2] == ["face", "kept"] and len(rows) == 4
    kept, registered, *_, each = (float(error) for error in rows[0].split()[1:])
    assert each < registered < 0.6 * kept


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of six clips in the current folder, as far as its folds read it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    changes = {"subjects": ["s1", "s2", "s3"], "resize": {"size": 64}, "model": {"pooling": 1}}
    training = {"threads": torch.get_num_threads(), "augmentation": {"crop": 56}}
    own = {"cnn_lstm": {"features": 4, "hidden": 4, "crop": 56}}
    shrink(paths.PARAMS, changes | {"train": training, "networks": own, "runtime": {"device": "cpu"}})
    names = [f"s{subject}/{number}" for subject in (1, 2, 3) for number in range(2)]
    table = pd.DataFrame({"clip": names, "subject": [name[:2] for name in names], "label": ["happy", "sad"] * 3})
    rng = np.random.default_rng(0)
    paths.parts("synthetic").mkdir(parents=True)
    flow = rng.normal(size=(6, 2, 2, 64, 64)).astype(np.float16)
    clip_store.write_stack(paths.flow("synthetic"), "flow", names, list(flow), {"method": "random"})
    frames = rng.integers(0, 255, (6, 3, 64, 64, 3)).astype(np.uint8)
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", names, list(frames))
    recordings = table.assign(onset=1, apex=2, offset=3, n_frames=3, frames="a")
    recordings.to_csv(paths.recordings("synthetic"), index=False)
    recordings.assign(database="synthetic").to_csv(paths.clips("synthetic"), index=False)
    apexes.table((name, Apex(2, "annotated")) for name in names).to_csv(paths.apex("synthetic"), index=False)
    to_apex = rng.normal(size=(6, 2, 64, 64)).astype(np.float16)
    clip_store.write_stack(paths.key_flow("synthetic"), "flow", names, list(to_apex), {"method": "random"})
    paths.classes("synthetic").write_text(json.dumps(["happy", "sad"]))
    files = {
        "recordings": parts.file_of(paths.recordings("synthetic")),
        "frames": parts.file_of(paths.stabilised("synthetic")),
        **dict.fromkeys(("flow", "head_motion"), parts.file_of(paths.flow("synthetic"))),
    }
    part = parts.Part("synthetic", "", truth=None, annotation={}, **files)
    paths.part("synthetic", "synthetic").write_text(parts.as_text(part))
    yield
    torch.use_deterministic_algorithms(False)


def learn(*arguments, fails=False):
    answer = CliRunner().invoke(learning.main, arguments)
    assert (answer.exit_code == 1) == fails, answer.output
    return answer.output.splitlines()


def test_the_benchmark_of_learning_shows_every_epoch_of_the_pipelines_own_training(study, monkeypatch):
    """And its looks at the subjects held out change nothing of it."""
    given, run = [], fold.run

    def watched(*made, **options):
        files = run(*made, **options)
        given.append((made, files))
        return files

    monkeypatch.setattr(fold, "run", watched)
    said, header, *rows = learn("--held-out", "s1", "--held-out", "s3", "--epochs", "2")
    assert said.startswith("STANet: 2 clips to train with; 4 clips held out, 0.500 of")
    assert header.split()[:4] == ["epoch", "loss", "accuracy", "held"] and "mask: mean, sd" in header
    [((network, settings, made, read, device), files)] = given
    assert set(made.rows("test")["subject"]) == {"s1", "s3"} and settings.lr == 1e-5 and settings.views == "all"
    assert files == run(network, settings, made, read, device)
    curve = [line.split(",") for line in files.curve.decode().splitlines()]
    for row, line in zip(rows, curve[1:], strict=True):
        facts = dict(zip(curve[0], map(float, line), strict=True))
        shown = list(map(float, row.split()))
        assert shown[:3] == [facts["epoch"], round(facts["loss"], 3), round(facts["accuracy"], 3)]
        lowest, _, _, _, highest = shown[4:9]
        assert 0 < lowest <= 1 / 2 <= highest < 1 and 0 < shown[10] < 1  # two weights of sum 1, and the mean mask
    predicted = [line.split(",") for line in files.predictions.decode().splitlines()[1:]]
    right = np.mean([label == found for _, _, label, found, *_ in predicted])
    assert float(rows[-1].split()[3]) == right


def test_the_benchmark_of_learning_shows_another_network_that_the_study_does_not_list(study):
    said, header, *rows = learn("--network", "cnn_lstm", "--held-out", "s2", "--epochs", "1")
    assert said.startswith("CNN+LSTM: 4 clips to train with; 2 clips held out") and "mask" not in header
    assert [(row.split()[0], row.split()[4]) for row in rows] == [("1", "cnn"), ("2", "lstm")]


@pytest.mark.parametrize("network", sorted(set(networks.names()) - {"stanet", "cnn_lstm"}))
def test_the_benchmark_of_learning_shows_every_network_there_is(study, network):
    said, _, *rows = learn("--network", network, "--held-out", "s2", "--epochs", "1")
    assert said.startswith(f"{networks.network(network).title}: 4 clips to train with") and len(rows) == 1


@pytest.mark.parametrize("subjects", [["s9"], ["s1", "s9"], ["s1", "s2", "s3"]])
def test_the_benchmark_of_learning_names_the_subjects_there_are(study, subjects):
    arguments = [word for subject in subjects for word in ("--held-out", subject)]
    assert "expected some of the subjects s1, s2, s3" in "".join(learn(*arguments, fails=True))


def test_the_benchmark_of_learning_names_the_networks_there_are(study):
    assert ", ".join(networks.names()) in "".join(learn("--network", "vgg", "--held-out", "s1", fails=True))
