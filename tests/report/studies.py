"""A study with numbers drawn at random: no network and no file behind it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from pipeline import paths
from pipeline.evaluation import comparison, metrics
from pipeline.evaluation.comparison import Method
from pipeline.networks.stanet.introspection import Attention, Grid
from pipeline.params import Params, load_params
from pipeline.report.provenance import Provenance
from pipeline.report.study import Study
from pipeline.storage import tables
from pipeline.synthetic.truth import Truth
from tests.tiny import merge

ROOT = Path(__file__).parents[2]
CLASSES = ["disgust", "surprise", "tense"]
SIZE, FRAMES = 40, 4
CURVE = pd.DataFrame(
    {"epoch": [1, 2], "loss": [1.0, 0.5], "cross_entropy": [1.0, 0.5], "mask_l1": [9.0, 8.0], "accuracy": [0.3, 0.6]}
)

NO_CHOICE = pd.DataFrame(columns=["lambda", "epochs", "score", "chosen"])


def params(dataset="synthetic", database=None, **changes):
    """The committed parameters for a dataset of one database, with other values, section by section.

    `database` is for the database's own section.
    """
    adapter = TypeAdapter(Params)
    document = adapter.dump_python(load_params(ROOT / "params.yaml"), mode="json", by_alias=True)
    section = document["databases"].pop("synthetic")
    name = dataset.split("-")[0]  # of synthetic-2-fold: synthetic
    raw = section["raw"] if name == "synthetic" else f"/recordings/{name}"
    document |= {"dataset": dataset, "databases": {name: section | {"raw": raw} | (database or {})}}
    merge(document, changes)
    return adapter.validate_json(json.dumps(document))


def predictions(clips, subjects):
    """Every clip with its class and one that was predicted, the subjects taking turns."""
    table = pd.DataFrame({"subject": [f"sub{n % subjects + 1:02d}" for n in range(clips)]})
    table.insert(0, "clip", [f"{subject}/EP{n:03d}" for n, subject in enumerate(table["subject"])])
    table["label"] = [CLASSES[n // subjects % 3] for n in range(clips)]
    probabilities = np.random.default_rng(5).dirichlet(np.ones(3), clips)
    table["predicted"] = [CLASSES[n] for n in probabilities.argmax(axis=1)]
    return table.assign(**{f"p_{name}": probabilities[:, number] for number, name in enumerate(CLASSES)})


def others(table):
    """What two other methods and the largest class predict of the same clips."""
    rng = np.random.default_rng(6)
    columns = table[["clip", "subject", "label"]]
    return {
        name: columns.assign(predicted=np.where(rng.uniform(size=len(table)) < share, table["label"], CLASSES[0]))
        for name, share in (("sparse_mdmo", 0.6), ("higo", 0.1), ("largest_class", 0))
    }


def table1(table, dataset="casme2"):
    """Table 1 of the study, with what the paper gives for a dataset."""
    key = table.to_csv(), dataset, *metrics.METRICS
    if key not in _TABLES:
        methods = [
            Method(name, [found], name.replace("_", " ").upper(), 72, "a remark" if name == "higo" else "")
            for name, found in others(table).items()
        ]
        found = comparison.compare(Method("stanet", [table], "STANet", remark="one seed"), methods, CLASSES)
        _TABLES[key] = comparison.with_published(found, tables.read(ROOT / paths.PUBLISHED), dataset)
    return _TABLES[key]


_TABLES: dict = {}  # of the studies so far: many tests make the same, and resampling takes a while


def attention(rng, size=SIZE):
    """What a network makes of a clip of FRAMES flow frames."""
    maps = rng.uniform(size=(FRAMES, 4, 4)).astype(np.float32)
    grid = Grid(size=size, crop=size - 8, first=3.0, step=8)
    weights = rng.dirichlet(np.ones(FRAMES))
    return Attention(np.ones(3) / 3, maps, maps / 9, maps, weights, grid, contrast=maps / 3)


def provenance(folds):
    """Where a study of these folds comes from."""
    return Provenance(
        devices=dict.fromkeys(folds, "cpu"),
        trained_with={subject: {"torch": "9.9", "python": "3.99"} for subject in folds},
        drawn_with={"matplotlib": "7.7"},
        estimator={"method": "dis", "weights_sha256": "ab" * 32},
        annotation={"coding.xlsx": "cd" * 32},
        hashes={"data/x/flow.h5": "ef" * 32},
    )


def study(clips=24, subjects=4, *, table=None, held_out="all", dataset="synthetic", size=SIZE, report=None, **changes):
    """A study of the clips in `table`, or of some made up; `report` is its section of params.yaml."""
    rng = np.random.default_rng(5)
    table = predictions(clips, subjects) if table is None else table
    names = sorted(table["subject"].unique())
    folds = names if held_out == "all" else held_out
    predicted = table[table["subject"].isin(folds)].reset_index(drop=True)
    pictures = rng.integers(0, 255, (8, FRAMES + 1, size, size, 3)).astype(np.uint8)
    flows = rng.normal(size=(8, FRAMES, 2, size, size)).astype(np.float16)
    paths = np.eye(3)[:2] + rng.normal(0, 0.003, (8, FRAMES + 1, 2, 3))
    region = np.zeros((size, size), bool)
    region[8:20, 8:20] = True
    made = Study(
        params=params(dataset=dataset, subjects=names, held_out=held_out, report=report or {}),
        classes=CLASSES,
        clips=table[["clip", "subject", "label"]],
        predictions=predicted,
        metrics=metrics.scores(metrics.confusion_matrix(predicted["label"], predicted["predicted"], CLASSES)),
        per_subject=metrics.per_subject(predicted),
        per_part=metrics.per_part(predicted, predicted["clip"].map(lambda _: dataset), CLASSES),
        deviations=(),
        curves=dict.fromkeys(folds, CURVE),
        choices=NO_CHOICE.assign(fold=""),
        table1=table1(predicted),
        others={"sparse_mdmo": others(predicted)["sparse_mdmo"]},
        attention={clip: attention(rng, size) for clip in predicted["clip"]},
        truth={clip: Truth(region, rng.uniform(size=FRAMES)) for clip in predicted["clip"]},
        frames=lambda clip: pictures[number(clip)],
        flow=lambda clip: flows[number(clip)],
        head_motion=lambda clip: paths[number(clip)],
        provenance=provenance(folds),
    )
    return dataclasses.replace(made, **changes)


def number(clip):
    """Which of eight arrays a clip has: the same in every process."""
    return sum(map(ord, clip)) % 8
