"""Join the predictions of all folds and score them."""

import json

import click

from pipeline import paths
from pipeline.evaluation import metrics
from pipeline.evaluation.loso import join
from pipeline.params import load_params
from pipeline.storage import class_names, tables
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
def main() -> None:
    """Metrics are pooled: every clip counts once, whichever fold predicted it."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    classes = class_names.read(paths.classes(name))
    clips = tables.read(paths.clips(name), columns=("clip", "subject"))
    # The subjects of params.yaml, not the files in the folder: folds of an earlier, longer list stay on disk.
    columns = ("clip", "subject", "label", "predicted", *(f"{tables.PROBABILITY}{name}" for name in classes))
    folds = {subject: tables.read(paths.fold(name, subject), columns=columns) for subject in params.folds}
    predictions = join(clips[clips["subject"].isin(params.folds)], folds)
    if len(params.folds) < len(params.subjects):
        click.echo(
            f"Warning: partial results: {len(params.folds)} of {len(params.subjects)} folds, "
            f"{len(predictions)} of {len(clips)} clips (held_out: {', '.join(params.folds)})",
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


if __name__ == "__main__":
    main()
