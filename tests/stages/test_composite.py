"""One study over trees like those of SMIC, CASME II and SAMM, from the generator to the page."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.databases.profiles import THREE
from tests.stages.conftest import Workspace, copy_of, ran
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("composite")  # one process makes what the tests share

NAMES = ("casme2", "samm", "smic")
SUBJECTS = {"casme2-sub01", "casme2-sub02", "samm-001", "samm-002", "smic-s01", "smic-s02"}
PER_DATABASE = ("index", "interpolate", "resize", "stabilise", "extract_flow", "key_flow", "describe_inputs")
HASTY = {
    "comparators": {"methods": ["fdm"]},
    "train": {"epochs": 1, "augmentation": {"views": "random"}},
    "synthesize": {"subjects": 2, "clips": 6, "frames": [3, 5]},
}


def use(workspace: Workspace, *words: str) -> str:
    output = workspace.pipeline("use", *words, "--flow", "dis")
    shrink(workspace.root / "params.yaml", HASTY)
    return output


def use_composite(workspace: Workspace, trees: Path) -> str:
    casme2, samm, smic = (str(trees / name) for name in NAMES)
    return use(workspace, "composite", "--casme2", casme2, "--samm", samm, "--smic", smic)


@pytest.fixture(scope="session")
def shared(clean, once) -> Path:
    """A folder with `trees`, `clone` and `outputs.json`: a study of CASME II, the composite, CASME II again, and the
    composite again, which is committed; what DVC ran each time."""

    def make(folder: Path) -> None:
        workspace = copy_of(clean, folder).unrendered()
        shrink(workspace.root / "params.yaml", HASTY)
        trees = folder / "trees"
        for seed, name in enumerate(NAMES):
            words = ("--subjects", "2", "--clips", "6", "--seed", str(seed))
            workspace.pipeline("synthesize", name, str(trees / name), *words)
        outputs = {}
        use(workspace, "casme2", "--from", str(trees / "casme2"))
        outputs["casme2"] = workspace.dvc("repro")
        use_composite(workspace, trees)
        outputs["composite"] = workspace.dvc("repro")
        use(workspace, "casme2")
        outputs["back"] = workspace.dvc("repro")
        use_composite(workspace, trees)
        outputs["again"] = workspace.dvc("repro")
        workspace.commit()
        (folder / "outputs.json").write_text(json.dumps(outputs))

    return once("composite", make)


@pytest.fixture(scope="session")
def outputs(shared) -> dict[str, str]:
    """What DVC said each time."""
    return json.loads((shared / "outputs.json").read_text())


@pytest.fixture(scope="session")
def studied(shared) -> Workspace:
    """The finished study of the composite; not to be changed."""
    return Workspace(shared / "clone").unrendered()


@pytest.fixture
def own(studied, tmp_path) -> Workspace:
    """That study to do with as one likes; its trees are those of all."""
    return copy_of(studied, tmp_path)


def table(workspace: Workspace, file: str) -> pd.DataFrame:
    return pd.read_csv(workspace.root / file, dtype=str)


def test_the_databases_are_computed_once_whichever_study_they_are_in(outputs):
    assert {f"{stage}@casme2" for stage in PER_DATABASE} <= ran(outputs["casme2"])
    for name in ("samm", "smic"):
        assert {f"{stage}@{name}" for stage in PER_DATABASE} <= ran(outputs["composite"])
    assert not {f"{stage}@casme2" for stage in PER_DATABASE} & ran(outputs["composite"])
    manifests = {stage for name in NAMES for stage in (f"gather@{name}", f"comparator_inputs@{name}-fdm")}
    assert ran(outputs["back"]) <= {stage for stage in manifests if "casme2" in stage}
    assert ran(outputs["again"]) <= manifests


def test_two_people_stay_two_and_every_fold_has_all_the_others(studied):
    assert {file.stem for file in (studied.root / "results/composite/folds").iterdir()} == SUBJECTS
    split = table(studied, "data/composite/splits/samm-001.csv")
    test, train = (set(split[split["role"] == role]["subject"]) for role in ("test", "train"))
    assert test == {"samm-001"} and train == SUBJECTS - test


def test_scores_are_pooled_and_the_parts_are_the_same_predictions(studied):
    predictions = table(studied, "results/composite/predictions.csv")
    parts = pd.read_csv(studied.root / "results/composite/parts.csv")
    assert parts["part"].tolist() == ["full", *NAMES] and parts["clips"][0] == parts["clips"][1:].sum()
    assert parts["clips"][0] == len(predictions)
    metrics = json.loads(studied.read("results/composite/metrics.json"))
    assert parts.iloc[0][["accuracy", "uf1", "uar"]].to_dict() == pytest.approx(metrics)
    page = studied.read("results/composite/report.html").decode()
    assert "same predictions, of the clips of one database only" in page


def test_scores_and_leakage_of_a_composite(own):
    output = own.pipeline("score", "results/composite/predictions.csv", "--json")
    scored = json.loads(output[output.index("{") :])
    assert [part["part"] for part in scored["files"][0]["parts"]] == ["full", *NAMES]
    score = own.pipeline("score", "results/composite/predictions.csv", "--against", "data/composite/clips.csv")
    assert "full: " in score
    before = own.outputs()
    assert "chosen on its test clips" in own.pipeline("leakage")
    after = own.outputs()
    assert after.keys() - before.keys() == {"results/composite/leakage.html", "results/composite/leakage.csv"}
    assert "up to date" in own.dvc("status")
    # The clips are not those of the challenge, and it says so clip by clip.
    output = own.pipeline("use", "megc2019", fails=True)
    assert "not in the official list" in output and "missing that no table here names" in output


def test_its_networks_predict_its_clips_and_new_ones(own, shared, tmp_path):
    predictions = table(own, "results/composite/predictions.csv").set_index("clip")
    recordings = {name: table(own, f"data/{name}/recordings.csv").set_index("clip") for name in NAMES}
    for name in NAMES:
        clip = next(clip for clip in predictions.index if clip.startswith(f"{name}-"))
        folder = shared / "trees" / name / recordings[name].loc[clip.removeprefix(f"{name}-"), "frames"]
        answers = [predicted(own, clip), predicted(own, str(folder))]
        for answer in answers:  # the clip under both names: only the network that does not know its person is asked
            assert answer["clip"] == clip and answer["models"] == [f"models/composite/{clip.split('/')[0]}.pt"]
            assert answer["class"] == predictions.loc[clip, "predicted"]
            expected = {label: float(predictions.loc[clip, f"p_{label}"]) for label in THREE}
            assert answer["probabilities"] == pytest.approx(expected, rel=1e-4)
        shutil.copytree(folder, tmp_path / name)
        new = predicted(own, str(tmp_path / name))
        assert {Path(model).stem for model in new["models"]} == SUBJECTS


def predicted(workspace: Workspace, clip: str) -> dict[str, Any]:
    output = workspace.pipeline("predict", clip, "--json")
    return json.loads(output[output.index("{") :])


def lock(workspace: Workspace) -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(workspace.root / "dvc.lock")


def test_folds_side_by_side_leave_what_dvc_repro_leaves(own, studied):
    forget(own)
    output = own.pipeline("folds", "--workers", "2")
    assert "composite: 6 of 6 folds to train" in output and output.count(" finished, ") == 6
    assert not [stage for stage in ran(output) if stage.startswith("train")]
    assert own.outputs() == studied.outputs() and lock(own) == lock(studied)
    assert "Data and pipelines are up to date." in own.dvc("status")


def forget(workspace: Workspace) -> None:
    """As if no fold of the composite had been trained."""
    for folder in ("models/composite", "results/composite", ".dvc/cache/runs"):
        shutil.rmtree(workspace.root / folder)
    yaml = YAML()
    document = yaml.load(workspace.root / "dvc.lock")
    for stage in [name for name in document["stages"] if name.startswith("train@composite-")]:
        del document["stages"][stage]
    yaml.dump(document, workspace.root / "dvc.lock")
    workspace.commit()  # otherwise the missing entries are taken for damage, and come back


def test_table_2_is_over_all_clips_and_its_experiments_have_parts(own, studied):
    before = own.outputs(), lock(own)
    output = own.pipeline("ablate", "--csv", "table2.csv")
    rows = pd.read_csv(own.root / "table2.csv")
    assert list(rows["row"]) == ["baseline", "+SAB", "+SAB+l1", "+SAB+TAB+l1"]
    predictions = table(studied, "results/composite/predictions.csv")
    right = predictions["label"] == predictions["predicted"]
    assert list(rows["clips"]) == [len(predictions)] * 4 and f"{right.sum()} of {len(right)}" in output
    assert rows["correct"].iloc[-1] == right.sum()  # the complete network is that of the study, and not trained again
    log = (own.root / "inspect/composite/ablation/training.log").read_text()
    assert log.count(" finished, ") == 18
    assert (own.outputs(), lock(own)) == before
    first, last = (f"composite-{slug}-seed0" for slug in ("sab-tab-l1", "baseline"))
    shown = own.pipeline("compare", first, last, "--csv", "compared.csv")
    compared = pd.read_csv(own.root / "compared.csv").set_index("method")
    parts = pd.read_csv(own.root / "results/composite/parts.csv").set_index("part")
    for name in NAMES:
        assert f"{name}, {parts.loc[name, 'clips']} clips" in shown
        for key in ("clips", "accuracy", "uf1", "uar"):
            assert compared.loc[first, f"{name}_{key}"] == parts.loc[name, key]
    assert compared.loc[last, "correct"] == rows["correct"].iloc[0]


def test_samm_by_itself_keeps_its_names_as_text_to_the_end(own, shared):
    use(own, "samm", "--from", str(shared / "trees/samm"))
    output = own.dvc("repro")
    assert {"task@samm", "train@samm-001", "train@samm-002", "report@samm"} <= ran(output)
    assert not {f"{stage}@samm" for stage in PER_DATABASE} & ran(output)  # they were computed for the composite
    for file in ("data/samm/clips.csv", "results/samm/predictions.csv", "results/samm/per_subject.csv"):
        assert set(table(own, file)["subject"]) == {"001", "002"}
    clips = table(own, "data/samm/clips.csv")
    assert set(clips["clip"].str[:8]) == {"001/001_", "002/002_"}
    assert set(clips["label"]) <= {"anger", "contempt", "happiness", "other", "surprise"}
    assert list(table(own, "results/samm/predictions.csv")["clip"]) == list(clips["clip"])
    for folder, suffix in (("models/samm", "pt"), ("results/samm/folds", "csv")):
        assert {file.name for file in (own.root / folder).iterdir()} == {f"001.{suffix}", f"002.{suffix}"}
    assert list(table(own, "results/samm/parts.csv")["part"]) == ["full"]
    assert "<td>models/samm/001.pt</td>" in own.read("results/samm/report.html").decode()
    clip = clips["clip"][0]
    answer = predicted(own, clip)
    assert answer["clip"] == clip and answer["models"] == ["models/samm/001.pt"]
    output = own.pipeline("folds", "--workers", "2")
    assert "samm: 0 of 2 folds to train" in output
