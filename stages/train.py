"""Train the fold of one subject and predict its clips."""

import json

import click
import pandas as pd

from pipeline import fold, paths
from pipeline import params as parameters
from pipeline.device import resolve_device
from pipeline.outputs import staged
from stages.command import progress, stage


@stage
@click.argument("subject")
def main(subject: str) -> None:
    """Train on the clips of all other subjects; SUBJECT is held out."""
    params = parameters.load(paths.PARAMS)
    name = params.dataset
    split = pd.read_csv(paths.split(name, subject), dtype=str)
    if split.empty:
        click.echo(f"train: {subject} is not in held_out, nothing to train")
    targets = [paths.model(name, subject), paths.fold(name, subject), paths.curve(name, subject)]
    with staged(paths.partial("train", name, subject), *targets) as drafts:
        files = fold.run(
            params,
            subject,
            json.loads(paths.classes(name).read_text()),
            split,
            fold.read_flow(paths.flow(name)),
            resolve_device(params.runtime.device),
            progress(params, f"train {subject}", "epoch", params.train.epochs),
        )
        for draft, content in zip(drafts, files, strict=True):
            draft.write_bytes(content)


if __name__ == "__main__":
    main()
