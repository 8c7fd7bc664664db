"""Write the page on a study, its figures, and how well attention finds known motion."""

from collections.abc import Iterable

import click
import torch

from pipeline import paths
from pipeline.datasets import DATASETS
from pipeline.params import load
from pipeline.report.page import write
from pipeline.report.sources import Sources, open_study
from pipeline.storage.outputs import staged
from stages.command import progress, stage


@stage
def main() -> None:
    """Each clip is shown to the network of the fold that held its subject out."""
    params = load(paths.PARAMS)
    name = params.dataset
    torch.set_num_threads(params.train.threads)
    sources = Sources(
        clips=paths.clips(name),
        classes=paths.classes(name),
        annotation=paths.annotation(name),
        resized=paths.resized(name),
        flow=paths.flow(name),
        networks={subject: paths.model(name, subject) for subject in params.folds},
        curves={subject: paths.curve(name, subject) for subject in params.folds},
        predictions=paths.predictions(name),
        metrics=paths.metrics(name),
        per_subject=paths.per_subject(name),
        # The motion is known in whole frames of the embedded dataset.
        truth=paths.truth(params.raw) if name == "synthetic" and params.face == "none" else None,
    )

    def bar(clips: list[str]) -> Iterable[str]:
        return progress(params, "report", "clip", len(clips))(clips)

    targets = [paths.report(name), paths.figures(name), paths.attention(name)]
    with (
        open_study(params, sources, DATASETS[name].profile.published, bar) as study,
        staged(paths.partial("report", name), *targets) as [page, folder, scores],
    ):
        write(study, page, folder, scores)
    click.echo(f"{name}: {paths.report(name)}")


if __name__ == "__main__":
    main()
