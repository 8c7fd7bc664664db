"""Train CNN+LSTM, a comparator of Table 1, without one subject and predict its clips."""

import json

import click
import pandas as pd

from pipeline import paths
from pipeline.cnn_lstm import fold
from pipeline.device import resolve_device
from pipeline.params import load_params
from pipeline.storage import parts, resume, tables
from pipeline.storage.outputs import staged
from stages.command import progress, say_what_was_kept, stage

METHOD = "cnn_lstm"


@stage
@click.argument("subject")
def main(subject: str) -> None:
    """Train on the clips of all other subjects; SUBJECT is held out."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    classes = json.loads(paths.classes(name).read_text())
    split = tables.read(paths.split(name, subject))
    if split.empty:
        click.echo(f"train_cnn_lstm: {subject} is not in held_out, nothing to train")
        pictures = fold.NO_PICTURES
    else:
        pictures = fold.read_pictures(parts.read(paths.manifests(name, params.databases)), list(split["clip"]))
        _say_what_is_known(split, pictures)
    device = resolve_device(params.runtime.device)
    key = fold.key(params, subject, classes, split, pictures, device)
    targets = [
        path(name, METHOD, subject) for path in (paths.comparator_model, paths.comparator_fold, paths.comparator_curve)
    ]
    with (
        resume.resumable(paths.resume("train_cnn_lstm", name, subject, "cnn"), key) as cnn,
        resume.resumable(paths.resume("train_cnn_lstm", name, subject, "lstm"), key) as lstm,
        staged(paths.partial("train_cnn_lstm", name, subject), *targets) as drafts,
    ):
        for kept, network in ((cnn, "CNN"), (lstm, "LSTM")):
            say_what_was_kept("train_cnn_lstm", f"the {network} without {subject}", kept, params.train.epochs)
        bar = progress(params, f"train_cnn_lstm {subject}", "epoch", params.train.epochs)
        files = fold.run(params, subject, classes, split, pictures, device, fold.Kept(cnn, lstm), bar)
        for draft, content in zip(drafts, files, strict=True):
            draft.write_bytes(content)


def _say_what_is_known(split: pd.DataFrame, pictures: fold.Pictures) -> None:
    known, clips = len(pictures.with_apex), len(split)
    if reason := fold.why_no_row(split, pictures):
        click.echo(f"train_cnn_lstm: {reason}: nothing to train")
    elif known < clips:
        click.echo(
            f"train_cnn_lstm: {clips - known} of {clips} clips have no apex: they train nothing, and are predicted as "
            "if it were in their middle"
        )


if __name__ == "__main__":
    main()
