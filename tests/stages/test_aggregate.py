"""The scores of a dataset whose names all look like numbers."""

import json
import shutil
from pathlib import Path

import pandas as pd
import torch
from click.testing import CliRunner

from stages.aggregate import main
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]


def test_names_that_look_like_numbers_stay_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shrink(tmp_path / "params.yaml", {"dataset": "table", "raw": "/data/table", "subjects": ["006", "007"]})
    for folder in ("data/table", "models/table", "results/table/folds"):
        Path(folder).mkdir(parents=True)
    clips = pd.DataFrame({"clip": ["0061", "0071"], "subject": ["006", "007"], "label": ["1", "02"]})
    clips.to_csv("data/table/clips.csv", index=False)
    Path("data/table/classes.json").write_text('["02", "1"]')
    for _, clip in clips.groupby("subject"):
        subject = clip["subject"].item()
        clip.assign(predicted="1", p_02=0.25, p_1=0.75).to_csv(f"results/table/folds/{subject}.csv", index=False)
        with Path(f"models/table/{subject}.pt").open("wb") as stream:
            torch.save({"device": "cpu"}, stream)
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
    assert Path("results/table/predictions.csv").read_text().splitlines() == [
        "clip,subject,label,predicted,p_02,p_1",
        "0061,006,1,1,0.25,0.75",
        "0071,007,02,1,0.25,0.75",
    ]
    assert Path("results/table/confusion.csv").read_text() == "actual,predicted\n1,1\n02,1\n"
    assert json.loads(Path("results/table/metrics.json").read_text())["accuracy"] == 0.5
