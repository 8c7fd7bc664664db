"""What docs/comparators.md has a reader type, as it stands there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline import comparators, paths
from pipeline.evaluation import protocols
from pipeline.storage import clip_store

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/comparators.md").read_text(encoding="utf-8")
LIBRARY, METHOD = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[BLOCK] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_library_is_used_as_the_page_says(capsys):
    exec(compile(LIBRARY, "docs/comparators.md", "exec"), {})
    assert re.fullmatch(r"\[('(disgust|tense)' ?){4}\]\n", capsys.readouterr().out)


def test_a_method_of_ones_own_takes_twenty_lines_and_runs(tmp_path):
    assert len([line for line in METHOD.splitlines() if line.strip()]) <= 20
    for folder in ("pipeline", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline/comparators/mean_speed.py").write_text(METHOD)
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(ROOT / "params.yaml")
    document["subjects"] = document["folds"] = ["s1", "s2", "s3"]
    document["comparators"] |= yaml.load(BLOCK)["comparators"]
    yaml.dump(document, tmp_path / "params.yaml")
    clips = pd.DataFrame({"clip": [f"s{n // 4 + 1}/{n}" for n in range(12)], "label": ["disgust", "tense"] * 6})
    clips.insert(1, "subject", clips["clip"].str[:2])
    flow = np.random.default_rng(0).normal(size=(12, 5, 2, 32, 32))
    flow[clips["label"] == "tense"] *= 2
    (tmp_path / "data/synthetic").mkdir(parents=True)
    # What any method may read: the manifests of all are written together.
    frames = np.zeros((12, 6, 32, 32, 3), np.uint8)
    for path, name, arrays in (
        (paths.stabilised("synthetic"), "frames", frames),
        (paths.flow("synthetic"), "flow", flow.astype(np.float16)),
        (paths.key_flow("synthetic"), "flow", flow.sum(1).astype(np.float16)),
    ):
        clip_store.write_stack(tmp_path / path, name, list(clips["clip"]), list(arrays))
    clips.to_csv(tmp_path / paths.clips("synthetic"), index=False)
    folds = {subject: [subject] for subject in document["folds"]}
    (tmp_path / paths.folds("synthetic")).write_text(protocols.as_text(folds))
    script = "; ".join(
        [
            "from click.testing import CliRunner",
            "from stages import classify, describe, describe_inputs, inputs",
            "run = lambda stage, *words: print(CliRunner().invoke(stage.main, words).output)",
            "run(describe_inputs, 'synthetic')",
            "run(describe, 'synthetic', 'mean_speed')",
            "run(inputs, 'synthetic', 'synthetic', 'mean_speed')",
            "run(classify, 'mean_speed')",
        ]
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert "mean_speed, 12 of 12 clips right" in done.stdout, done.stdout + done.stderr


def test_every_method_is_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (frames|flow|key flow|nothing) \|", PAGE, re.MULTILINE)
    reads = {name: comparators.reads(name).replace("_", " ") for name in comparators.methods()}
    assert len(rows) == len(dict(rows)) and dict(rows) == reads | {"largest_class": "nothing"}
