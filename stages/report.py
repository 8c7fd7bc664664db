"""Write the page on a study, its figures, and how well attention finds known motion."""

from collections.abc import Iterable
from pathlib import Path

import click
import torch

from pipeline import lettering, paths
from pipeline.databases import megc2019
from pipeline.params import Params, load_params
from pipeline.report.page import write
from pipeline.report.sources import Sources, open_study
from pipeline.storage import parts, tables
from pipeline.storage.outputs import staged
from stages.command import progress, stage

CONFUSIONS = ("distlbp_rip", "sparse_mdmo")
"""Methods whose confusion matrices the paper's Figures 3 to 5 show beside STANet's."""


@stage
def main() -> None:
    """Each clip is shown to the network of the fold that held its subject out."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    torch.set_num_threads(params.train.threads)
    lettering.check(text for column in ("label", "clip") for text in tables.read(paths.clips(name))[column])
    sources = Sources(
        clips=paths.clips(name),
        classes=paths.classes(name),
        parts=parts.read(paths.manifests(name, params.databases)),
        networks={fold: paths.model(name, fold) for fold in params.trained_folds},
        curves={fold: paths.curve(name, fold) for fold in params.trained_folds},
        choices={fold: paths.choices(name, fold) for fold in params.trained_folds},
        folds=paths.folds(name),
        predictions=paths.predictions(name),
        metrics=paths.metrics(name),
        per_subject=paths.per_subject(name),
        per_part=paths.per_part(name),
        table1=paths.table1(name),
        others={
            method: paths.comparator(name, method) for method in CONFUSIONS if method in params.comparators.methods
        },
    )

    def bar(clips: list[str]) -> Iterable[str]:
        return progress(params, "report", "clip", len(clips))(clips)

    targets = [paths.report(name), paths.figures(name), paths.attention(name)]
    with (
        open_study(params, sources, bar, _deviations(params, sources)) as study,
        staged(paths.partial("report", name), *targets) as [page, folder, scores],
    ):
        if mixed := study.provenance.mixed_devices():
            click.echo(f"Warning: the folds were trained on different kinds of device ({mixed})", err=True)
        write(study, page, folder, scores)
    click.echo(f"{name}: {paths.report(name)}")


def _deviations(params: Params, sources: Sources) -> list[str]:
    """How the clips of megc2019 differ from the official list; `task` has seen to it that each is accepted."""
    if params.clip_selection != megc2019.NAME:
        return []
    recordings = {part.database: tables.read(Path(part.recordings.path)) for part in sources.parts}
    excluded = {database: params.databases[database].exclude for database in params.databases}
    return megc2019.study_differences(
        tables.read(sources.clips), recordings, excluded, params.accepted, megc2019.official()
    ).sentences()


if __name__ == "__main__":
    main()
