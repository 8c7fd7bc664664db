"""Does the network learn with the paper's settings? python -m benchmarks.learning --held-out sub03 --held-out sub08

Trains on the active dataset with the settings that the paper has for CASME II (lr 1e-5, 30 epochs, every view), holds
all the named subjects out together, and looks at them after every epoch: a look that the pipeline never takes, because
a choice made by it would be a choice by test data. Hours on a CPU for a set as large as CASME II.
"""

import json
from dataclasses import asdict

import click
import numpy as np
import torch
from scipy.stats import spearmanr

from pipeline import paths
from pipeline.databases.profiles import PROFILES
from pipeline.device import resolve_device
from pipeline.learning import augmentation, training
from pipeline.learning.augmentation import TEST_VIEW, Views
from pipeline.params import load_params
from pipeline.networks.stanet import fold
from pipeline.networks.stanet.network import STANet, stanet_loss
from pipeline.storage import parts, tables

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@click.command()
@click.option("--held-out", "subjects", multiple=True, required=True, help="A subject; give several.")
@click.option("--seed", default=0, show_default=True)
def main(subjects: tuple[str, ...], seed: int) -> None:
    """Print one row per epoch."""
    params = load_params(paths.PARAMS)
    if not (params.model.spatial_attention and params.model.temporal_attention):
        raise click.ClickException("expected a network with both attention branches in params.yaml")
    paper = PROFILES["casme2"].settings
    device = resolve_device(params.runtime.device)
    training.fix_arithmetic(params.train.threads)
    table = tables.read(paths.clips(params.dataset))
    flow = fold.read_flow(parts.read(paths.manifests(params.dataset, params.databases)), list(table["clip"]))
    classes = json.loads(paths.classes(params.dataset).read_text())
    labels = torch.tensor([classes.index(label) for label in table["label"]])
    tested = torch.from_numpy(table["subject"].isin(subjects).to_numpy())
    if not tested.any() or tested.all():
        raise click.ClickException(f"expected some of the subjects {', '.join(sorted(set(table['subject'])))}")
    train, test = torch.arange(len(labels))[~tested], torch.arange(len(labels))[tested]
    crop, batch = params.train.augmentation.crop, params.train.batch_size
    views = augmentation.views(paper.scales, paper.horizontal_flip)
    size = flow.fields.shape[-2:]
    shown, plain = Views(views, crop, *size, device), Views([TEST_VIEW], crop, *size, device)
    model = STANet(len(classes), **asdict(params.model), seed=seed).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=paper.lr, weight_decay=paper.weight_decay, fused=True)
    generator = torch.Generator().manual_seed(seed)
    largest = labels[test].bincount().max() / len(test)
    click.echo(
        f"{len(train)} clips x {len(views)} views; {len(test)} clips held out, {largest:.3f} of the largest class"
    )
    click.echo("epoch  loss  accuracy  held out  weights: quantiles 0, .05, .5, .95, 1  rank corr.  mask: mean, sd")
    for epoch in range(1, paper.epochs + 1):
        model.train()
        loss_sum, correct = 0.0, 0
        for numbers in torch.randperm(len(train) * len(views), generator=generator).split(batch):
            clips = train[numbers // len(views)]
            fields = shown.show(flow.fields[clips].to(device).float(), (numbers % len(views)).to(device))
            output, targets = model(fields), labels[clips].to(device)
            loss = stanet_loss(output, targets, paper.lambda_)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += len(clips) * loss.item()
            correct += (output.logits.argmax(dim=1) == targets).sum().item()
        model.eval()
        right, weights, energies, masks = 0, [], [], []
        with torch.no_grad():
            for clips in test.split(batch):
                fields = plain.show(
                    flow.fields[clips].to(device).float(), torch.zeros(len(clips), dtype=torch.long, device=device)
                )
                output = model(fields)
                right += (output.logits.argmax(dim=1).cpu() == labels[clips]).sum().item()
                weights.append(output.weights.cpu())
                energies.append(fields.square().sum(dim=2).sqrt().mean(dim=(2, 3)).cpu())
                masks.append(output.mask.cpu())
        weight, energy, mask = torch.cat(weights), torch.cat(energies), torch.cat(masks)
        rank = np.mean([spearmanr(one, two).statistic for one, two in zip(weight, energy, strict=True)])
        spread = "  ".join(f"{value:.4f}" for value in torch.quantile(weight.flatten(), torch.tensor(QUANTILES)))
        total = len(train) * len(views)
        click.echo(
            f"{epoch:>5} {loss_sum / total:>5.3f} {correct / total:>9.3f} {right / len(test):>9.3f}  {spread}"
            f" {rank:>11.3f} {mask.mean():>9.3f} {mask.std():.3f}"
        )


if __name__ == "__main__":
    main()
