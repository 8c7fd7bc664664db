"""Train the fold of one subject and predict its clips."""

import click

from pipeline import paths
from pipeline.device import resolve_device
from pipeline.params import load_params
from pipeline.stanet import fold
from pipeline.storage import class_names, parts, resume, tables
from pipeline.storage.outputs import staged
from stages.command import progress, say_what_was_kept, stage


@stage
@click.argument("subject")
def main(subject: str) -> None:
    """Train on the clips of all other subjects; SUBJECT is held out."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    classes = class_names.read(paths.classes(name))
    split = tables.read(paths.split(name, subject), columns=("clip", "subject", "label", "role"))
    if split.empty:
        click.echo(f"train: {subject} is not in held_out, nothing to train")
        flow = fold.NO_FLOW
    else:
        flow = fold.read_flow(parts.read(paths.manifests(name, params.databases)), list(split["clip"]))
    device = resolve_device(params.runtime.device)
    targets = [paths.model(name, subject), paths.fold(name, subject), paths.curve(name, subject)]
    with (
        resume.resumable(
            paths.resume("train", name, subject), fold.key(params, subject, classes, split, flow, device)
        ) as kept,
        staged(paths.partial("train", name, subject), *targets) as drafts,
    ):
        say_what_was_kept("train", subject, kept, params.train.epochs)
        bar = progress(params, f"train {subject}", "epoch", params.train.epochs)
        files = fold.run(params, subject, classes, split, flow, device, kept, bar)
        for draft, content in zip(drafts, files, strict=True):
            draft.write_bytes(content)


if __name__ == "__main__":
    main()
