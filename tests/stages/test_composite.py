"""One study over trees like those of SMIC, CASME II and SAMM, from the generator to the page."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import shrink

NAMES = ("casme2", "samm", "smic")
PER_DATABASE = ("index", "interpolate", "resize", "stabilise", "extract_flow")
HASTY = {
    "comparators": {"methods": ["fdm"]},
    "train": {"epochs": 1, "augmentation": {"views": "random"}},
    "synthesize": {"subjects": 2, "clips": 6, "frames": [3, 5]},
}


def pipeline(workspace: Workspace, *words: str, fails: bool = False) -> str:
    return workspace.run(sys.executable, "-m", "pipeline", *words, fails=fails)


def use(workspace: Workspace, *words: str) -> str:
    output = pipeline(workspace, "use", *words, "--flow", "dis")
    shrink(workspace.root / "params.yaml", HASTY)
    return output


def use_composite(workspace: Workspace, trees: Path) -> str:
    casme2, samm, smic = (str(trees / name) for name in NAMES)
    return use(workspace, "composite", "--casme2", casme2, "--samm", samm, "--smic", smic)


@pytest.fixture(scope="module")
def studied(clean, tmp_path_factory):
    """A study of CASME II, then the composite, then CASME II again; what DVC ran each time."""
    workspace = copy_of(clean, tmp_path_factory.mktemp("studied"))
    shrink(workspace.root / "params.yaml", HASTY)
    trees = tmp_path_factory.mktemp("trees")
    for seed, name in enumerate(NAMES):
        pipeline(
            workspace, "synthesize", name, str(trees / name), "--subjects", "2", "--clips", "6", "--seed", str(seed)
        )
    outputs = {}
    use(workspace, "casme2", "--from", str(trees / "casme2"))
    outputs["casme2"] = workspace.dvc("repro")
    use_composite(workspace, trees)
    outputs["composite"] = workspace.dvc("repro")
    composite = workspace.outputs()
    use(workspace, "casme2")
    outputs["back"] = workspace.dvc("repro")
    return workspace, outputs, composite, trees


def test_the_databases_are_computed_once_whichever_study_they_are_in(studied):
    _, outputs, _, _ = studied
    assert {f"{stage}@casme2" for stage in PER_DATABASE} <= ran(outputs["casme2"])
    for name in ("samm", "smic"):
        assert {f"{stage}@{name}" for stage in PER_DATABASE} <= ran(outputs["composite"])
    assert not {f"{stage}@casme2" for stage in PER_DATABASE} & ran(outputs["composite"])
    assert ran(outputs["back"]) <= {"gather@casme2", "gather_features@casme2-fdm"}  # manifests


def test_two_people_stay_two_and_every_fold_has_all_the_others(studied):
    _, _, composite, _ = studied
    folds = {Path(name).stem for name in composite if name.startswith("results/composite/folds/")}
    assert folds == {
        *("casme2-sub01", "casme2-sub02", "samm-001", "samm-002", "smic-s01", "smic-s02"),
    }
    split = pd.read_csv(_file(composite, "data/composite/splits/samm-001.csv"), dtype=str)
    test, train = (set(split[split["role"] == role]["subject"]) for role in ("test", "train"))
    assert test == {"samm-001"} and train == folds - test


def _file(outputs, name):
    return io.BytesIO(outputs[name])


def test_scores_are_pooled_and_the_parts_are_the_same_predictions(studied):
    _, _, composite, _ = studied
    predictions = pd.read_csv(_file(composite, "results/composite/predictions.csv"), dtype=str)
    parts = pd.read_csv(_file(composite, "results/composite/parts.csv"))
    assert parts["part"].tolist() == ["full", *NAMES] and parts["clips"][0] == parts["clips"][1:].sum()
    assert parts["clips"][0] == len(predictions)
    metrics = json.loads(composite["results/composite/metrics.json"])
    assert parts.iloc[0][["accuracy", "uf1", "uar"]].to_dict() == pytest.approx(metrics)
    page = composite["results/composite/report.html"].decode()
    assert "same predictions, of the clips of one database only" in page


def test_what_follows_a_study_works_on_a_composite(studied, tmp_path):
    workspace = copy_of(studied[0], tmp_path)
    trees = studied[3]
    use_composite(workspace, trees)
    assert ran(workspace.dvc("repro")) <= {
        *(f"gather@{name}" for name in NAMES),
        *(f"gather_features@{name}-fdm" for name in NAMES),
    }
    predictions = pd.read_csv(workspace.root / "results/composite/predictions.csv", dtype=str)
    clip = next(name for name in predictions["clip"] if name.startswith("samm-"))
    output = pipeline(workspace, "predict", clip, "--json")
    answer = json.loads(output[output.index("{") :])
    assert answer["clip"] == clip and answer["models"] == ["models/composite/" + clip.split("/")[0] + ".pt"]
    output = pipeline(workspace, "score", "results/composite/predictions.csv", "--json")
    scored = json.loads(output[output.index("{") :])
    assert [part["part"] for part in scored["files"][0]["parts"]] == ["full", *NAMES]
    score = pipeline(workspace, "score", "results/composite/predictions.csv", "--against", "data/composite/clips.csv")
    assert "full: " in score
    before = workspace.outputs()
    assert "chosen on its test subject" in pipeline(workspace, "leakage")
    after = workspace.outputs()
    assert after.keys() - before.keys() == {"results/composite/leakage.html", "results/composite/leakage.csv"}
    assert "up to date" in workspace.dvc("status")
    # The clips are not those of the challenge, and it says so clip by clip.
    output = pipeline(workspace, "use", "megc2019", fails=True)
    assert "not in the official list" in output and "missing that no table here names" in output
