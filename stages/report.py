"""Write the page on a study, its figures, and how well attention finds known motion."""

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import torch

from pipeline import paths
from pipeline.databases.profiles import PROFILES
from pipeline.params import Params, load_params
from pipeline.report.page import Study, write
from pipeline.stanet import introspection
from pipeline.storage import parts, tables
from pipeline.storage.digests import sha256
from pipeline.storage.outputs import staged
from pipeline.synthetic import truth
from stages.command import progress, stage

# What the figures compute with.
_PER_SUBJECT = ("clips", "correct", "accuracy")
_CURVE = ("epoch", "loss", "cross_entropy", "mask_l1", "accuracy")
# Packages that decide what the page looks like.
_DRAWING = ("jinja2", "matplotlib", "numpy", "pandas", "scipy", "torch")


@stage
def main() -> None:
    """Each clip is shown to the network of the fold that held its subject out."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    predictions = tables.read(paths.predictions(name))
    folds = {subject: introspection.load(paths.model(name, subject)) for subject in params.folds}
    members = parts.read(paths.parts(name), list(params.databases))
    files = [file for part in members for file in (part.resized, part.flow, part.truth) if file is not None]
    sources = [paths.clips(name), *(paths.model(name, subject) for subject in params.folds)]
    sources += [paths.predictions(name), paths.metrics(name)]
    torch.set_num_threads(params.train.threads)
    with parts.arrays(members, "resized") as frames, parts.arrays(members, "flow") as flow:
        bar = progress(params, "report", "clip", len(predictions))
        attention = {
            clip.clip: introspection.attention(
                folds[clip.subject][0], torch.tensor(flow(clip.clip)), params.train.augmentation.crop
            )
            for clip in bar(predictions.itertuples())
        }
        study = Study(
            params=params,
            classes=json.loads(paths.classes(name).read_text()),
            clips=tables.read(paths.clips(name)),
            predictions=predictions,
            metrics=json.loads(paths.metrics(name).read_text()),
            per_subject=tables.read(paths.per_subject(name), numbers=_PER_SUBJECT),
            curves={subject: tables.read(paths.curve(name, subject), numbers=_CURVE) for subject in params.folds},
            devices={subject: description["device"] for subject, (_, description) in folds.items()},
            trained_with={subject: description["versions"] for subject, (_, description) in folds.items()},
            drawn_with={package: version(package) for package in _DRAWING},
            estimator=dict(sorted(folds[params.folds[0]][1]["params"]["flow"].items())),
            published=_published(params),
            annotation={part.prefix + file: digest for part in members for file, digest in part.annotation.items()},
            hashes={path.as_posix(): sha256(path) for path in sources} | {file.path: file.sha256 for file in files},
            attention=attention,
            truth=_truth(params, members, predictions["clip"]),
            frames=frames,
            flow=flow,
        )
        targets = [paths.report(name), paths.figures(name), paths.attention(name)]
        with staged(paths.partial("report", name), *targets) as [page, folder, scores]:
            write(study, page, folder, scores)
    click.echo(f"{name}: {paths.report(name)}")


def _published(params: Params) -> tuple[tuple[str, float], ...]:
    """The paper's figures, which are for the databases' own classes."""
    return PROFILES[params.dataset].published if params.classes == "own" else ()


def _truth(params: Params, members: Sequence[parts.Part], clips: Iterable[str]) -> dict[str, truth.Truth] | None:
    """Known motion by clip, where that of every clip is known."""
    if len(members) > 1 or members[0].truth is None:
        return None
    path = Path(members[0].truth.path)
    return truth.read(path, list(clips), params.interpolation.frames, params.resize.size)


if __name__ == "__main__":
    main()
