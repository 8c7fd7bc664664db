"""The scores of a dataset whose names look like something else."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline import paths
from pipeline.evaluation import protocols
from pipeline.storage import apexes, parts, sources
from pipeline.storage.apexes import Apex
from stages.aggregate import main
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]
CLIPS = pd.DataFrame({"clip": ["0071", "0072"], "subject": ["007", "NA"], "label": ["02", "null"]})


@pytest.fixture(autouse=True)
def study(tmp_path, monkeypatch):
    """Two clips of two subjects, each predicted by the fold that tests it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    text = (tmp_path / "params.yaml").read_text()
    text = text.replace("  synthetic:\n    raw: data/raw/synthetic\n", "  table:\n    raw: /recordings\n")
    (tmp_path / "params.yaml").write_text(text)
    shrink(tmp_path / "params.yaml", {"dataset": "table", "subjects": ["007", "NA"]})
    Path("data/table").mkdir(parents=True)
    CLIPS.assign(database="table", apex=["12", ""]).to_csv(paths.clips("table"), index=False)
    paths.classes("table").write_text('["02", "null"]')
    paths.folds("table").write_text(protocols.as_text({"007": ["007"], "NA": ["NA"]}))
    paths.comparators("table").mkdir(parents=True)
    predict()


def predict(network="stanet", folds=None):
    """Write predictions of each fold for the clips of its subjects."""
    for fold, subjects in (folds or {"007": ["007"], "NA": ["NA"]}).items():
        rows = CLIPS[CLIPS["subject"].isin(subjects)]
        paths.fold("table", fold, network).parent.mkdir(parents=True, exist_ok=True)
        rows.assign(predicted="null", p_02=0.25, p_null=0.75).to_csv(paths.fold("table", fold, network), index=False)


def aggregate(network="stanet"):
    result = CliRunner().invoke(main, [network])
    assert result.exit_code == 0, result.output
    return result.output


def test_names_that_look_like_numbers_or_empty_cells_stay_text():
    aggregate()
    assert paths.predictions("table").read_text().splitlines() == [
        "clip,subject,label,predicted,p_02,p_null",
        "0071,007,02,null,0.25,0.75",
        "0072,NA,null,null,0.25,0.75",
    ]
    assert paths.confusion("table").read_text() == "actual,predicted\n02,null\nnull,null\n"
    assert paths.per_part("table").read_text().splitlines() == [
        "part,clips,accuracy,uf1,uar",
        f"full,2,0.5,{1 / 3},0.5",
    ]
    assert json.loads(paths.metrics("table").read_text())["accuracy"] == 0.5


def test_another_network_becomes_a_row_of_table_1_and_no_result_of_the_study():
    predict("cnn_lstm")
    apexes.table([("0071", Apex(12, "annotated")), ("0072", Apex(None, ""))]).to_csv(paths.apex("table"), index=False)
    manifest = paths.inputs_of("table", "cnn_lstm", "table")
    manifest.parent.mkdir(parents=True)
    arrays = parts.file_of(paths.clips("table"))  # any file: the arrays are not read
    manifest.write_text(sources.manifest(arrays, apex=parts.file_of(paths.apex("table"))))
    aggregate("cnn_lstm")
    assert paths.comparator("table", "cnn_lstm").read_text().splitlines() == [
        "clip,subject,label,predicted",
        "0071,007,02,null",
        "0072,NA,null,null",
    ]
    facts = json.loads(paths.comparator_facts("table", "cnn_lstm").read_text())
    assert facts["title"] == "CNN+LSTM" and facts["values"] == 5 * 64
    assert facts["remark"].endswith("the middle stands in for the apex of 1 of 2 clips")
    assert not paths.metrics("table").exists() and not paths.predictions("table").exists()


def test_a_fold_of_several_subjects_has_a_row_for_each_clip_in_the_order_of_the_clips():
    shrink(
        paths.PARAMS,
        {"dataset": "table-2-fold", "protocol": "k-fold", "subjects": ["007", "NA", "x"], "folds": ["fold1", "fold2"]},
    )
    for folder in ("data", "results"):
        Path(folder, "table").rename(Path(folder, "table-2-fold"))
    clips = pd.concat([CLIPS, pd.DataFrame({"clip": ["0073"], "subject": ["x"], "label": ["02"]})])
    clips.assign(database="table").to_csv(paths.clips("table-2-fold"), index=False)
    tested = {"fold1": ["007", "x"], "fold2": ["NA"]}
    paths.folds("table-2-fold").write_text(protocols.as_text(tested))
    for fold, subjects in tested.items():
        rows = clips[clips["subject"].isin(subjects)].assign(predicted="02", p_02=0.75, p_null=0.25)
        rows.to_csv(paths.fold("table-2-fold", fold), index=False)
    aggregate()
    found = paths.predictions("table-2-fold").read_text().splitlines()[1:]
    assert [line[:4] for line in found] == ["0071", "0072", "0073"]
    assert paths.per_subject("table-2-fold").read_text().splitlines() == [
        "subject,clips,correct,accuracy",
        "007,1,1,1.0",
        "NA,1,0,0.0",
        "x,1,1,1.0",
    ]
