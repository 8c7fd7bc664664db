"""What docs/networks.md has a reader type, as it stands there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from pipeline import networks, paths
from pipeline.evaluation import protocols
from pipeline.storage import clip_store

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
LIBRARY, SAYS, COMPUTES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[BLOCK] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


def test_the_library_is_used_as_the_page_says(capsys):
    exec(compile(LIBRARY, "docs/networks.md", "exec"), {})
    said, *rows = capsys.readouterr().out.splitlines()
    assert said == str(networks.names())
    assert [len(row.strip("[ ]").split()) for row in rows] == [2, 2]


def test_a_network_of_ones_own_takes_two_files_and_runs(tmp_path):
    """Named, read, trained in every fold and joined, without a change to any other module."""
    for folder in ("pipeline", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    [(folder, says)] = re.findall(r"in the folder\s+`(\w+)`\.\s+Its\s+`(\w+\.py)`\s+says\s+what\s+it\s+is", PAGE)
    [computes] = re.findall(r"Its\s+`(\w+\.py)`\s+says\s+how\s+it\s+computes", PAGE)
    own = tmp_path / "pipeline/networks" / folder
    own.mkdir()
    (own / says).write_text(SAYS)
    (own / computes).write_text(COMPUTES)
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(ROOT / "params.yaml")
    document["subjects"] = document["folds"] = ["s1", "s2", "s3"]
    document["networks"] |= yaml.load(BLOCK)["networks"]
    yaml.dump(document, tmp_path / "params.yaml")
    clips = pd.DataFrame({"clip": [f"s{n // 4 + 1}/{n}" for n in range(12)], "label": ["disgust", "tense"] * 6})
    clips.insert(1, "subject", clips["clip"].str[:2])
    flow = np.random.default_rng(0).normal(size=(12, 19, 2, 32, 32))
    flow[clips["label"] == "tense"] *= 2
    write(tmp_path, clips, flow.astype(np.float16))
    steps = [
        ("inputs", "synthetic", "synthetic", "mean_speed"),
        *(("train", "mean_speed", fold) for fold in document["folds"]),
        ("aggregate", "mean_speed"),
    ]
    script = "\n".join(
        ["from click.testing import CliRunner", "from stages import aggregate, inputs, train"]
        + [f"print(CliRunner().invoke({stage}.main, {arguments}).output)" for stage, *arguments in steps]
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert not done.stdout.strip(), done.stdout + done.stderr
    row = pd.read_csv(tmp_path / paths.comparator("synthetic", "mean_speed"))
    assert list(row["clip"]) == list(clips["clip"]) and list(row["predicted"]) == list(row["label"])
    facts = json.loads((tmp_path / paths.comparator_facts("synthetic", "mean_speed")).read_text())
    assert facts == {"title": "mean speed", "values": None, "remark": "an example"}


def write(folder, clips, flow):
    """Write a study as the stages before the training leave it."""
    (folder / paths.split("synthetic", "s1")).parent.mkdir(parents=True)
    clip_store.write_stack(folder / paths.flow("synthetic"), "flow", list(clips["clip"]), list(flow))
    clips.to_csv(folder / paths.clips("synthetic"), index=False)
    (folder / paths.classes("synthetic")).write_text(json.dumps(["disgust", "tense"]))
    folds = {subject: (subject,) for subject in ("s1", "s2", "s3")}
    (folder / paths.folds("synthetic")).write_text(protocols.as_text(folds))
    for name, subjects in folds.items():
        protocols.split(clips, subjects).to_csv(folder / paths.split("synthetic", name), index=False)


def test_every_network_is_on_the_page():
    [rows] = re.findall(r"^\| name \| what it is \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", rows, re.MULTILINE))
    assert sorted(listed) == list(networks.names())
    for name, says in listed.items():  # the two that were there first are described without their name
        assert name in ("stanet", "cnn_lstm") or says.startswith(f"{networks.network(name).title}: "), name
