"""Train one fold of a network and predict its test clips."""

import click

from pipeline import paths, trainings
from pipeline.device import resolve_device
from pipeline.learning import fold, inputs
from pipeline.learning.inputs import Inputs
from pipeline.params import load_params
from pipeline.storage import class_names, resume, tables
from pipeline.storage.outputs import staged
from pipeline.trainings import Training
from stages.command import counter, say_what_was_kept, stage


@stage
@click.argument("network")
@click.argument("name", metavar="FOLD")
def main(network: str, name: str) -> None:
    """Train NETWORK on the clips of all subjects that FOLD does not test, and predict those of its test subjects."""
    params = load_params(paths.PARAMS)
    dataset = params.dataset
    split = tables.read(paths.split(dataset, name), columns=("clip", "subject", "label", "role"))
    training = trainings.training(params, network, name, class_names.read(paths.classes(dataset)), split)
    if split.empty:
        click.echo(f"train: {name} is not in held_out, nothing to train")
        read = inputs.NOTHING
    else:
        found = trainings.sources_of(params, network)
        read = inputs.read(training.network, training.settings, found, list(split["clip"]))
        _say_what_is_known(training, read)
        if chosen := training.fold.selection:
            click.echo(
                f"train: {name}: {chosen.trainings} inner trainings of {chosen.largest} epochs choose the settings"
            )
    device = resolve_device(params.runtime.device)
    with (
        resume.resumable(trainings.resume_folder(dataset, network, name), fold.key(*training, read, device)) as kept,
        staged(paths.partial("train", network, dataset, name), *trainings.outputs(dataset, network, name)) as drafts,
    ):
        what = f"{training.network.title} without {name}"
        epochs = fold.epochs(training.network, training.settings, training.fold.selection)
        say_what_was_kept("train", what, kept, epochs)
        with counter(params, what, "epoch", epochs, max(kept.finished, default=0)) as bar:
            files = fold.run(*training, read, device, kept, lambda epoch: bar.update())
        for draft, content in zip(drafts, files[: len(drafts)], strict=True):
            draft.write_bytes(content)


def _say_what_is_known(training: Training, read: Inputs) -> None:
    network = training.network
    if reason := fold.why_no_row(network, training.fold, read):
        click.echo(f"train: {network.title}: {reason}: nothing to train")
    elif network.needs_apex and (unknown := len(read.clips) - len(read.with_apex)):
        click.echo(
            f"train: {unknown} of {len(read.clips)} clips have no apex: {network.title} learns nothing from them, and "
            "predicts them as if it were in their middle"
        )


if __name__ == "__main__":
    main()
