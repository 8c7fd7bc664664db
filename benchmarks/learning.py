"""Does a network learn with the paper's settings? python -m benchmarks.learning --held-out sub03 --held-out sub08

Trains a fold of the active dataset that tests all the named subjects, with the settings that the paper has for CASME II
(lr 1e-5, 30 epochs, every view), and looks at its test clips after every epoch: a look that the pipeline never takes,
because a choice made by it would be a choice by test data. `--network` trains another network of `pipeline.networks`,
with the constants that params.yaml has for it. Hours on a CPU for a set as large as CASME II.
"""

import dataclasses
from typing import Any

import click
import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from pipeline import networks, paths
from pipeline.databases.profiles import PROFILES
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs
from pipeline.learning.augmentation import TEST_VIEW, Views
from pipeline.learning.fold import Fold
from pipeline.learning.network import Network
from pipeline.learning.training import Epoch
from pipeline.networks.stanet.network import STANet
from pipeline.params import Params, load_params
from pipeline.storage import class_names, clip_store, parts, tables
from pipeline.storage.parts import file_of
from pipeline.storage.sources import Source

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
PUBLISHED = ("lr", "weight_decay", "scales", "horizontal_flip", "views", "lambda_")
HEADER = "epoch   loss  accuracy  held out"
ATTENTION = "  weights: quantiles 0, .05, .5, .95, 1  rank corr.  mask: mean, sd"


def published(params: Params, network: str, epochs: int | None) -> Any:
    """The settings of a network in params.yaml, with the paper's training for CASME II."""
    settings, paper = params.network_settings(network), PROFILES["casme2"].settings
    given = {name: getattr(paper, name) for name in PUBLISHED if hasattr(settings, name)}
    return dataclasses.replace(settings, **given, epochs=epochs or paper.epochs)


def sources(network: Network, params: Params) -> list[Source]:
    """What a network reads of each database, whether or not the study lists the network."""
    found = []
    for part in parts.read(paths.manifests(params.dataset, params.databases)):
        arrays = {"flow": paths.flow, "frames": paths.stabilised, "key_flow": paths.key_flow}[network.reads]
        found.append(
            Source(
                part.database,
                part.prefix,
                file_of(arrays(part.database)),
                part.recordings if network.needs_apex and network.reads == "frames" else None,
                file_of(paths.apex(part.database)) if network.needs_apex else None,
            )
        )
    return found


@torch.no_grad()
def attention(network: STANet, fields: Tensor) -> str:
    """Where and when the network looks at clips (N, T, 2, H, W), as the columns of the table."""
    training = network.training
    network.eval()
    weights, energies, masks = [], [], []
    for batch in fields.split(8):
        output = network(batch)
        weights.append(output.weights.cpu())
        energies.append(batch.square().sum(dim=2).sqrt().mean(dim=(2, 3)).cpu())
        masks.append(output.mask.cpu())
    network.train(training)
    weight, energy, mask = torch.cat(weights), torch.cat(energies), torch.cat(masks)
    rank = np.mean([spearmanr(one, two).statistic for one, two in zip(weight, energy, strict=True)])
    spread = "  ".join(f"{value:.4f}" for value in torch.quantile(weight.flatten(), torch.tensor(QUANTILES)))
    return f"  {spread} {rank:>11.3f} {mask.mean():>9.3f} {mask.std():.3f}"


@click.command()
@click.option("--network", "name", default=networks.STANET, show_default=True, help="A network of pipeline.networks.")
@click.option("--held-out", "subjects", multiple=True, required=True, help="A subject; give several.")
@click.option("--seed", default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the paper's, to try this benchmark quickly.")
def main(name: str, subjects: tuple[str, ...], seed: int, epochs: int | None) -> None:
    """Print one row per epoch."""
    try:
        _learn(name, subjects, seed, epochs)
    except InputError as error:
        raise click.ClickException(str(error)) from error


def _learn(name: str, subjects: tuple[str, ...], seed: int, epochs: int | None) -> None:
    params, network = load_params(paths.PARAMS), networks.network(name)
    settings = published(params, name, epochs)
    table = tables.read(paths.clips(params.dataset))
    if (known := set(table["subject"])) <= set(subjects) or not set(subjects) <= known:
        raise InputError(f"--held-out: expected some of the subjects {', '.join(sorted(known))}")
    made = Fold(
        dataset=params.dataset,
        name="+".join(subjects),
        classes=class_names.read(paths.classes(params.dataset)),
        split=protocols.split(table, subjects),
        seed=seed,
        threads=params.train.threads,
        deterministic=params.train.deterministic,
    )
    device = resolve_device(params.runtime.device)
    read = inputs.read(network, settings, sources(network, params), list(table["clip"]))
    test = made.rows("test")
    labels = np.array([made.classes.index(label) for label in test["label"]])
    looks = name == networks.STANET and settings.spatial_attention and settings.temporal_attention
    fields = None
    if looks:
        flow = read.arrays[clip_store.rows_of(list(test["clip"]), read.clips)].float().to(device)
        plain = Views([TEST_VIEW], settings.crop, *flow.shape[-2:], device)
        fields = plain.show(flow, torch.zeros(len(flow), dtype=torch.long, device=device))

    def row(epoch: Epoch) -> None:
        right = (epoch.predict().argmax(axis=1) == labels).mean()
        measures = epoch.measures
        click.echo(
            f"{epoch.number:>5} {measures['loss']:>6.3f} {measures['accuracy']:>9.3f} {right:>9.3f}"
            + (attention(epoch.network, fields) if looks else "")
            + (f"  {epoch.phase}" if epoch.phase else "")
        )

    largest = np.bincount(labels).max() / len(labels)
    click.echo(
        f"{network.title}: {len(table) - len(test)} clips to train with; {len(test)} clips held out, {largest:.3f} of "
        "the largest class"
    )
    click.echo(HEADER + (ATTENTION if looks else ""))
    fold.run(network, settings, made, read, device, on_epoch=row)


if __name__ == "__main__":
    main()
