"""Predict every clip to be of the largest class among the clips of all other subjects."""

import json

import click

from pipeline import paths
from pipeline.evaluation import protocols
from pipeline.evaluation.baseline import largest_class
from pipeline.params import load_params
from pipeline.storage import tables
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
def main() -> None:
    """What a method must be better than, to have learnt anything."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    folds = protocols.read(paths.folds(name), params.trained_folds)
    predictions = largest_class(tables.read(paths.clips(name)), folds)
    facts = {"title": "largest class", "values": 0, "remark": "that of the fold's training clips"}
    targets = [paths.comparator(name, "largest_class"), paths.comparator_facts(name, "largest_class")]
    with staged(paths.partial("largest_class", name), *targets) as [table, notes]:
        predictions.to_csv(table, index=False)
        notes.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    right = int((predictions["label"] == predictions["predicted"]).sum())
    click.echo(f"{name}: largest class, {right} of {len(predictions)} clips right")


if __name__ == "__main__":
    main()
