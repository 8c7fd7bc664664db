"""The scores of a dataset whose names look like something else."""

import json
import shutil
from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from pipeline import paths
from stages.aggregate import main
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]


def test_names_that_look_like_numbers_or_empty_cells_stay_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    text = (tmp_path / "params.yaml").read_text()
    text = text.replace("  synthetic:\n    raw: data/raw/synthetic\n", "  table:\n    raw: /recordings\n")
    (tmp_path / "params.yaml").write_text(text)
    shrink(tmp_path / "params.yaml", {"dataset": "table", "subjects": ["007", "NA"]})
    for folder in ("data/table", "results/table/folds"):
        Path(folder).mkdir(parents=True)
    clips = pd.DataFrame({"clip": ["0071", "0072"], "subject": ["007", "NA"], "label": ["02", "null"]})
    clips["database"] = "table"
    clips.to_csv(paths.clips("table"), index=False)
    paths.classes("table").write_text('["02", "null"]')
    for subject, rows in clips.drop(columns="database").groupby("subject"):
        rows.assign(predicted="null", p_02=0.25, p_null=0.75).to_csv(paths.fold("table", subject), index=False)
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
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
