"""The scores of a study, from tables on disk."""

import json
import shutil
from pathlib import Path

import pandas as pd
import torch
from click.testing import CliRunner

from pipeline import paths
from stages import aggregate
from tests.tiny import shrink

ROOT = Path(__file__).parents[2]


def test_classes_may_be_numbers(tmp_path, monkeypatch):
    """A table of one's own may well have labels 0 and 1."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shrink(tmp_path / "params.yaml", {"dataset": "table", "raw": "/data", "subjects": ["006", "007"]})
    clips = pd.DataFrame(
        {"clip": ["006/a", "006/b", "007/a", "007/b"], "subject": ["006", "006", "007", "007"], "label": list("0110")}
    )
    for path in (paths.clips("table"), paths.fold("table", "006"), paths.model("table", "006")):
        path.parent.mkdir(parents=True)
    clips.to_csv(paths.clips("table"), index=False)
    paths.classes("table").write_text('["0", "1"]')
    for subject, rows in clips.groupby("subject"):
        rows.assign(predicted="0").to_csv(paths.fold("table", subject), index=False)
        torch.save({"device": "cpu"}, paths.model("table", subject))
    result = CliRunner().invoke(aggregate.main, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert json.loads(paths.metrics("table").read_text())["accuracy"] == 0.5
    assert list(pd.read_csv(paths.per_subject("table"), dtype=str)["subject"]) == ["006", "007"]
