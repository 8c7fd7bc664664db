"""Predict every clip by one method, from the clips of all other subjects."""

import json

import click

from pipeline import comparators, paths
from pipeline.comparators.protocol import classification
from pipeline.evaluation import protocols
from pipeline.params import load_params
from pipeline.storage import feature_files, tables
from pipeline.storage.outputs import staged
from stages.command import counter, stage


@stage
@click.argument("method")
def main(method: str) -> None:
    """All folds of METHOD; whatever is learnt is learnt inside the fold."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    clips = tables.read(paths.clips(name))
    folds = protocols.read(paths.folds(name), params.trained_folds)
    manifests = {database: paths.inputs_of(name, method, database) for database in params.databases}
    features = feature_files.read(manifests, list(clips["clip"]))
    with counter(params, f"classify {method}", "fold", len(folds), 0) as bar:
        predictions = classification.predict(
            method,
            features,
            clips,
            folds,
            params.comparators.class_weight,
            params.comparators.settings(method),
            report=lambda: bar.update(),
        )
    facts = {
        "title": comparators.title(method),
        "values": features[0].size,
        "remark": comparators.remark(
            method,
            landmarks=feature_files.have(manifests, comparators.LANDMARKS),
            head_kept=params.head_motion == "keep",
        ),
    }
    targets = [paths.comparator(name, method), paths.comparator_facts(name, method)]
    with staged(paths.partial("classify", name, method), *targets) as [table, notes]:
        predictions.to_csv(table, index=False)
        notes.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    right = int((predictions["label"] == predictions["predicted"]).sum())
    click.echo(f"{name}: {method}, {right} of {len(predictions)} clips right")


if __name__ == "__main__":
    main()
