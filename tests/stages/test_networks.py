"""A study whose folds test two subjects each, and which is given a network of its own: the pipeline, run by DVC."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("networks")  # one process makes what the tests share

SUBJECTS = ["sub01", "sub02", "sub03", "sub04"]
STUDY = "synthetic-2-fold"
FOLDS = ("fold1", "fold2")
TINY = {
    "synthesize": {"subjects": 4, "clips": 20},
    "comparators": {"methods": ["fdm"]},
    "train": {"epochs": 2, "augmentation": {"views": "random"}},
}
SAYS = '''"""The mean of every flow field, classified by a linear layer."""

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, Epochs, LearningRate

TITLE, REMARK, READS = "toy", "an example", "flow"


@dataclass(frozen=True, config=STRICT)
class Settings:
    epochs: Epochs = 2
    lr: LearningRate = 0.01
'''
COMPUTES = '''"""The network and its training."""

import numpy as np
from torch import nn

from pipeline.learning.initialisation import initialise
from pipeline.learning.objective import Logits
from pipeline.learning.training import TrainingSettings


class Toy(nn.Module):
    def __init__(self, classes, seed):
        super().__init__()
        self.layer = nn.Linear(2, classes)
        initialise(self, seed)

    def forward(self, means):
        return Logits(self.layer(means))


def build(classes, settings, seed):
    return Toy(classes, seed)


def prepare(clip, settings):
    return clip.mean(axis=(0, 2, 3), dtype=np.float32)


def training(settings):
    return TrainingSettings(epochs=settings.epochs, lr=settings.lr, batch_size=8)
'''


def add_network(workspace: Workspace) -> None:
    """Two files in a folder, a block and a name in params.yaml: nothing else is edited."""
    folder = workspace.root / "pipeline/networks/toy"
    folder.mkdir()
    (folder / "__init__.py").write_text(SAYS)
    (folder / "method.py").write_text(COMPUTES)
    yaml = YAML()
    document = yaml.load(workspace.root / "params.yaml")
    document["networks"] |= {"names": ["toy"], "toy": {"epochs": 2, "lr": 0.01}}
    yaml.dump(document, workspace.root / "params.yaml")


@pytest.fixture(scope="session")
def shared(clean, once) -> Path:
    """A folder with `clone`, the study after all of it, and `outputs.json`, what DVC said each time."""

    def make(folder: Path) -> None:
        workspace, outputs = copy_of(clean, folder).unrendered(), {}
        shrink(workspace.root / "params.yaml", {"synthesize": TINY["synthesize"], "subjects": SUBJECTS})
        outputs["use"] = workspace.pipeline("use", "synthetic", "--protocol", "k-fold", "--folds", "2")
        shrink(workspace.root / "params.yaml", TINY)
        outputs["first"] = workspace.dvc("repro")
        add_network(workspace)
        outputs["added"] = workspace.dvc("repro")
        shrink(workspace.root / "params.yaml", {"lambda": 1e-7})
        outputs["lambda"] = workspace.dvc("repro")
        shrink(workspace.root / "params.yaml", {"networks": {"toy": {"lr": 0.02}}})
        outputs["block"] = workspace.dvc("repro")
        workspace.commit()
        (folder / "outputs.json").write_text(json.dumps(outputs))

    return once("networks", make)


@pytest.fixture(scope="session")
def outputs(shared) -> dict[str, str]:
    """What was said each time."""
    return json.loads((shared / "outputs.json").read_text())


@pytest.fixture(scope="session")
def studied(shared) -> Workspace:
    """The finished study; not to be changed."""
    return Workspace(shared / "clone").unrendered()


def held_out(workspace: Workspace) -> dict[str, list[str]]:
    return json.loads(workspace.read(f"data/{STUDY}/folds.json"))


def table(workspace: Workspace, file: str) -> pd.DataFrame:
    return pd.read_csv(workspace.root / file, dtype=str)


def test_every_fold_tests_two_subjects_and_trains_on_the_others(studied, outputs):
    assert {f"train@{STUDY}-{fold}" for fold in FOLDS} <= ran(outputs["first"])
    folds = held_out(studied)
    assert tuple(folds) == FOLDS and sorted(folds["fold1"] + folds["fold2"]) == SUBJECTS
    for fold, subjects in folds.items():
        assert len(subjects) == 2
        split = table(studied, f"data/{STUDY}/splits/{fold}.csv")
        test, train = (split[split["role"] == role] for role in ("test", "train"))
        assert set(test["subject"]) == set(subjects) and set(train["subject"]) == set(SUBJECTS) - set(subjects)
        assert set(train["label"]) == set(split["label"])
        predicted = table(studied, f"results/{STUDY}/folds/{fold}.csv")
        assert list(predicted["clip"]) == list(test["clip"])
        model = torch.load(studied.root / f"models/{STUDY}/{fold}.pt", weights_only=True)
        assert model["held_out"] == subjects


def test_the_predictions_of_all_folds_are_scored_together(studied):
    clips, predictions = table(studied, f"data/{STUDY}/clips.csv"), table(studied, f"results/{STUDY}/predictions.csv")
    assert list(predictions["clip"]) == list(clips["clip"]) and len(clips) == TINY["synthesize"]["clips"]
    metrics = json.loads(studied.read(f"results/{STUDY}/metrics.json"))
    assert metrics["accuracy"] == pytest.approx((predictions["label"] == predictions["predicted"]).mean())
    assert list(table(studied, f"results/{STUDY}/per_subject.csv")["subject"]) == SUBJECTS


def test_the_report_names_the_protocol(studied):
    assert "2 folds of whole subjects" in studied.read(f"results/{STUDY}/report.html").decode()


def test_a_clip_of_the_dataset_is_shown_to_the_network_of_the_fold_that_tests_its_subject(studied, tmp_path):
    predictions = table(studied, f"results/{STUDY}/predictions.csv").set_index("clip")
    for fold, subjects in held_out(studied).items():
        clip = predictions.index[predictions["subject"] == subjects[-1]][0]
        facts = json.loads(studied.pipeline("predict", clip, "--json", "--picture", str(tmp_path / "here.png")))
        assert facts["models"] == [f"models/{STUDY}/{fold}.pt"] and facts["held_out"] == [", ".join(subjects)]
        assert facts["class"] == predictions["predicted"][clip] and facts["notes"] == []
        expected = {name: float(predictions[f"p_{name}"][clip]) for name in facts["probabilities"]}
        assert facts["probabilities"] == pytest.approx(expected, rel=1e-5)


OF_TOY = {*(f"train_network@{STUDY}-toy-{fold}" for fold in FOLDS), f"pool@{STUDY}-toy"}


def test_a_new_network_is_a_row_of_table_1_and_trains_no_fold_of_another_again(studied, outputs):
    assert ran(outputs["added"]) == OF_TOY | {"network_inputs@synthetic-toy", f"compare@{STUDY}", f"report@{STUDY}"}
    rows = table(studied, f"results/{STUDY}/table1.csv").set_index("method")
    assert list(rows.index) == ["stanet", "fdm", "toy", "largest_class"]
    assert rows["title"]["toy"] == "toy" and rows["remark"]["toy"].startswith("an example")
    pooled = table(studied, f"results/{STUDY}/comparators/toy.csv")
    assert list(pooled["clip"]) == list(table(studied, f"data/{STUDY}/clips.csv")["clip"])
    model = torch.load(studied.root / f"models/toy/{STUDY}/fold1.pt", weights_only=True)
    assert model["params"]["network"] == "toy" and model["params"]["settings"] == {"epochs": 2, "lr": 0.02}


def test_lambda_concerns_stanet_alone(outputs):
    assert {f"train@{STUDY}-{fold}" for fold in FOLDS} <= ran(outputs["lambda"])
    assert not [stage for stage in ran(outputs["lambda"]) if "toy" in stage]


def test_the_block_of_a_network_reruns_its_own_stages_and_the_comparison(outputs):
    assert OF_TOY | {f"report@{STUDY}"} <= ran(outputs["block"])
    assert ran(outputs["block"]) <= OF_TOY | {f"compare@{STUDY}", f"report@{STUDY}"}
