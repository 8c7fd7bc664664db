"""Join the predictions of all folds of a network, and score them."""

import json

import click
import pandas as pd

from pipeline import networks, paths
from pipeline.evaluation import metrics, protocols
from pipeline.params import Params, load_params
from pipeline.storage import class_names, tables
from pipeline.storage.outputs import staged
from stages.command import stage

COLUMNS = ["clip", "subject", "label", "predicted"]


@stage
@click.argument("network")
def main(network: str) -> None:
    """Join the folds of NETWORK: the results of the study for STANet, a row of Table 1 for any other network."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    clips = tables.read(paths.clips(name))
    # The folds of params.yaml, not the files in the folder: those of an earlier, longer list stay on disk.
    columns = [*COLUMNS, *(f"{tables.PROBABILITY}{label}" for label in class_names.read(paths.classes(name)))]
    folds = {fold: tables.read(paths.fold(name, fold, network), columns=columns) for fold in params.trained_folds}
    tested = protocols.tested(clips, protocols.read(paths.folds(name), params.trained_folds))
    if network == paths.STANET:
        _study(params, clips, protocols.join(tested, folds))
    else:
        _row(params, network, clips, tested, folds)


def _study(params: Params, clips: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Write the tables of the study. Metrics are pooled: every clip counts once, whichever fold predicted it."""
    name, classes = params.dataset, class_names.read(paths.classes(params.dataset))
    if len(params.trained_folds) < len(params.folds):
        click.echo(
            f"Warning: partial results: {len(params.trained_folds)} of {len(params.folds)} folds, "
            f"{len(predictions)} of {len(clips)} clips (held_out: {', '.join(params.trained_folds)})",
            err=True,
        )
    scores = metrics.scores(metrics.confusion_matrix(predictions["label"], predictions["predicted"], classes))
    databases = predictions["clip"].map(clips.set_index("clip")["database"])
    targets = [
        *(paths.predictions(name), paths.metrics(name), paths.confusion(name)),
        *(paths.per_subject(name), paths.per_part(name)),
    ]
    with staged(paths.partial("aggregate", name), *targets) as drafts:
        all_predictions, scalars, confusion, per_subject, per_part = drafts
        predictions.to_csv(all_predictions, index=False)
        scalars.write_text(json.dumps(scores, indent=2) + "\n")
        pairs = predictions[["label", "predicted"]].rename(columns={"label": "actual"})
        pairs.to_csv(confusion, index=False)
        metrics.per_subject(predictions).to_csv(per_subject, index=False)
        metrics.per_part(predictions, databases, classes).to_csv(per_part, index=False)
    click.echo(f"{name}: {len(predictions)} clips, " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items()))


def _row(
    params: Params, network: str, clips: pd.DataFrame, tested: pd.DataFrame, folds: dict[str, pd.DataFrame]
) -> None:
    """Write one row per clip; none where the study cannot have this network, because the apex is not known."""
    name, method = params.dataset, networks.network(network)
    if method.needs_apex and all(fold.empty for fold in folds.values()):
        predictions, remark = clips[:0].assign(predicted=""), "N/A: no apex"
        click.echo(f"{name}: no {network}, because the apex of its clips, or of a whole database, is not known")
    else:
        predictions, remark = protocols.join(tested, folds), method.remark
        unknown = int(clips["apex"].isna().sum()) if method.needs_apex else 0
        if unknown:
            remark += f"; the middle stands in for the apex of {unknown} of {len(clips)} clips"
    facts = {
        "title": method.title,
        "values": method.values(params.network_settings(network)),
        "remark": remark,
    }
    targets = [paths.comparator(name, network), paths.comparator_facts(name, network)]
    with staged(paths.partial("pool", name, network), *targets) as [table, notes]:
        predictions[COLUMNS].to_csv(table, index=False)
        notes.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
