"""Write the page on a study, its figures, and how well attention finds known motion."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import click
import h5py
import torch

from pipeline import params as parameters
from pipeline import paths
from pipeline.datasets import DATASETS
from pipeline.report.page import Study, write
from pipeline.stanet import introspection, trained
from pipeline.storage import clip_store, tables
from pipeline.storage.outputs import staged
from pipeline.synthetic import truth
from stages.command import progress, stage

_DRAWING = ("jinja2", "matplotlib", "numpy", "pandas", "scipy", "torch")


@stage
def main() -> None:
    """Each clip is shown to the network of the fold that held its subject out."""
    params = parameters.load(paths.PARAMS)
    name = params.dataset
    predictions = tables.read(paths.predictions(name))
    folds = {subject: trained.load(paths.model(name, subject)) for subject in params.folds}
    devices = {subject: fold.checkpoint.device for subject, fold in folds.items()}
    _warn_of_mixed(devices)
    sources = [paths.clips(name), paths.resized(name), paths.flow(name)]
    sources += [paths.model(name, subject) for subject in params.folds]
    sources += [paths.predictions(name), paths.metrics(name)]
    known = None
    if name == "synthetic" and params.face == "none":
        sources.append(paths.truth(params.raw))
        known = truth.read(
            paths.truth(params.raw), list(predictions["clip"]), params.interpolation.frames, params.resize.size
        )
    torch.set_num_threads(params.train.threads)
    with clip_store.reading(paths.resized(name)) as frames, clip_store.reading(paths.flow(name)) as flow:
        frame_row, flow_row = (_rows(file, predictions["clip"]) for file in (frames, flow))
        bar = progress(params, "report", "clip", len(predictions))
        attention = {
            clip.clip: introspection.attention(
                folds[clip.subject].network,
                torch.tensor(flow["flow"][flow_row[clip.clip]]),
                params.train.augmentation.crop,
            )
            for clip in bar(predictions.itertuples())
        }
        study = Study(
            params=params,
            classes=json.loads(paths.classes(name).read_text()),
            clips=tables.read(paths.clips(name)),
            predictions=predictions,
            metrics=json.loads(paths.metrics(name).read_text()),
            per_subject=tables.read(paths.per_subject(name)),
            curves={subject: tables.read(paths.curve(name, subject)) for subject in params.folds},
            devices=devices,
            trained_with={subject: fold.checkpoint.versions for subject, fold in folds.items()},
            drawn_with={package: version(package) for package in _DRAWING},
            estimator={key: value for key, value in sorted(flow["flow"].attrs.items())},
            published=DATASETS[name].profile.published,
            annotation=json.loads(paths.annotation(name).read_text()),
            hashes={path.name if path.is_absolute() else path.as_posix(): _sha256(path) for path in sources},
            attention=attention,
            truth=known,
            frames=lambda clip: frames["frames"][frame_row[clip]],
            flow=lambda clip: flow["flow"][flow_row[clip]],
        )
        targets = [paths.report(name), paths.figures(name), paths.attention(name)]
        with staged(paths.partial("report", name), *targets) as [page, folder, scores]:
            write(study, page, folder, scores)
    click.echo(f"{name}: {paths.report(name)}")


def _warn_of_mixed(devices: Mapping[str, str]) -> None:
    """Folds are reproducible on one kind of device; a study that mixes kinds is not. `devices` is by subject."""
    kinds: dict[str, list[str]] = {}
    for subject, kind in devices.items():
        kinds.setdefault(kind, []).append(subject)
    if len(kinds) > 1:
        found = "; ".join(f"{kind}: {', '.join(subjects)}" for kind, subjects in sorted(kinds.items()))
        click.echo(f"Warning: the folds were trained on different kinds of device ({found})", err=True)


def _rows(file: h5py.File, clips: Iterable[str]) -> dict[str, int]:
    names = list(clips)
    return dict(zip(names, clip_store.rows_of(names, clip_store.clip_names(file)), strict=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main()
