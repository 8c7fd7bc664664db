"""Train the fold of one subject and predict its clips."""

import json
import platform
from dataclasses import asdict

import click
import h5py
import numpy as np
import pandas as pd
import torch

from pipeline import augmentation, clipstore, paths, training
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
    classes = json.loads(paths.classes(name).read_text())
    split = pd.read_csv(paths.split(name, subject), dtype=str)
    targets = [paths.model(name, subject), paths.fold(name, subject), paths.curve(name, subject)]
    with staged(paths.partial("train", name, subject), *targets) as [model, predictions, curve]:
        if split.empty:
            click.echo(f"train: {subject} is not in held_out, nothing to train")
            fold = training.Fold({}, np.empty((0, len(classes))), pd.DataFrame(columns=training.CURVE_COLUMNS))
            description = {"classes": classes}
        else:
            fold, description = _train(params, subject, classes, split)
        with model.open("wb") as stream:  # a path would put the file's name into its bytes
            torch.save(description | {"state_dict": fold.state}, stream)
        test = split[split["role"] == "test"].drop(columns="role").reset_index(drop=True)
        test["predicted"] = [classes[number] for number in fold.probabilities.argmax(axis=1)]
        for number, label in enumerate(classes):
            test[f"p_{label}"] = fold.probabilities[:, number]
        test.to_csv(predictions, index=False)
        fold.curve.to_csv(curve, index=False)


def _train(
    params: parameters.Params, subject: str, classes: list[str], split: pd.DataFrame
) -> tuple[training.Fold, dict[str, object]]:
    """The trained fold, and what is needed beside its state dict to use the network again."""
    training.fix_arithmetic(params.train.threads)
    device = resolve_device(params.runtime.device)
    train = split[split["role"] == "train"]
    test = split[split["role"] == "test"]
    with clipstore.reading(paths.flow(params.dataset)) as file:
        flow = torch.from_numpy(_read(file, list(train["clip"])))
        held_out = torch.from_numpy(_read(file, list(test["clip"])))
        estimator = {
            key: value.item() if hasattr(value, "item") else value for key, value in file["flow"].attrs.items()
        }
    augment = params.train.augmentation
    settings = training.Settings(
        model=asdict(params.model),
        lambda_=params.lambda_,
        epochs=params.train.epochs,
        lr=params.train.lr,
        weight_decay=params.train.weight_decay,
        batch_size=params.train.batch_size,
        views=augmentation.views(augment.scales, augment.horizontal_flip),
        every_view=augment.views == "all",
        crop=augment.crop,
    )
    fold = training.train_fold(
        flow,
        torch.tensor([classes.index(label) for label in train["label"]]),
        held_out,
        classes=len(classes),
        settings=settings,
        seed=training.fold_seed(params.seed, params.dataset, subject),
        device=device,
        progress=progress(params, f"train {subject}", "epoch", settings.epochs),
    )
    description = {
        "dataset": params.dataset,
        "held_out": subject,
        "classes": classes,
        "params": {
            "lambda": params.lambda_,
            "seed": params.seed,
            "model": asdict(params.model),
            "train": asdict(params.train),
            "flow": estimator,
        },
        "frames": flow.shape[1] + 1,
        "size": flow.shape[-1],
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        "device": device.type,
    }
    return fold, description


def _read(file: h5py.File, clips: list[str]) -> np.ndarray:
    """Flow of the clips, float16 (N, T, 2, S, S)."""
    return np.stack([file["flow"][row] for row in clipstore.rows_of(file, clips)])


if __name__ == "__main__":
    main()
