"""What the stage writes of all folds: scores of every metric, and names as they are."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pipeline import paths
from pipeline.evaluation import metrics
from stages.aggregate import main
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A dataset of two clips whose names look like numbers and empty cells, with its folds predicted."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shrink(tmp_path / "params.yaml", {"dataset": "table", "raw": "/data/table", "subjects": ["007", "NA"]})
    for folder in ("data/table", "models/table", "results/table/folds"):
        Path(folder).mkdir(parents=True)
    clips = pd.DataFrame({"clip": ["0071", "0072"], "subject": ["007", "NA"], "label": ["02", "null"]})
    clips.to_csv(paths.clips("table"), index=False)
    paths.classes("table").write_text('["02", "null"]')
    for subject, rows in clips.groupby("subject"):
        rows.assign(predicted="null", p_02=0.25, p_null=0.75).to_csv(paths.fold("table", subject), index=False)
        torch.save({"device": "cpu"}, paths.model("table", subject))


def test_names_that_look_like_numbers_or_empty_cells_stay_text(table):
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
    assert paths.predictions("table").read_text().splitlines() == [
        "clip,subject,label,predicted,p_02,p_null",
        "0071,007,02,null,0.25,0.75",
        "0072,NA,null,null,0.25,0.75",
    ]
    assert paths.confusion("table").read_text() == "actual,predicted\n02,null\nnull,null\n"
    assert json.loads(paths.metrics("table").read_text())["accuracy"] == 0.5


def test_a_metric_of_the_table_is_written_and_said(table, monkeypatch):
    monkeypatch.setitem(metrics.METRICS, "errors", metrics.Metric("Errors", lambda confusion: 0.25))
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
    written = json.loads(paths.metrics("table").read_text())
    assert list(written) == ["accuracy", "uf1", "uar", "errors"] and written["errors"] == 0.25
    assert "errors 0.2500" in result.output
