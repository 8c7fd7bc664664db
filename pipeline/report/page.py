"""The page on a study: its scores, its figures and what is needed to get them again, in one file.

Nothing in it depends on when, where or how often it was made: equal studies give equal bytes. Its text is in
page.html.jinja, its pictures are made by `figures`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.databases import megc2019
from pipeline.evaluation import comparison, protocols
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.significance import bootstrap_intervals, wilson_interval
from pipeline.report import attention_scores, clip_choice, figures
from pipeline.report.findings import findings
from pipeline.report.provenance import parameters
from pipeline.report.published_composite import published
from pipeline.report.study import Study

_TEMPLATE = "page.html.jinja"


def write(study: Study, page: Path, folder: Path, scores: Path) -> None:
    """Write the page, its figures into `folder`, and the scores of the attention as JSON.

    Raises
    ------
    InputError
        A clip of `report.clips` is not among the predictions.
    """
    clip_choice.check_chosen(study)
    folder.mkdir()
    scored = study.scored()
    document = {"reason": study.no_truth}
    if scored is not None:
        document = attention_scores.document(scored, study.spread())
    summary = None if scored is None else document
    page.write_text(render(study, summary, figures.draw(study, scored, folder)), encoding="utf-8")
    scores.write_text(json.dumps(document, indent=2) + "\n")


def render(study: Study, summary: Mapping[str, Any] | None, pictures: Mapping[str, Any]) -> str:
    """The page as HTML.

    Parameters
    ----------
    study
        The study that it is about.
    summary
        What `attention_scores.summarise` gives, or None where the motion is not known.
    pictures
        What `figures.draw` gives: the data URI of each figure; `clips` holds those of single clips, by clip.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        study=study,
        name=study.params.dataset,
        metrics=METRICS,
        further=[name for name in METRICS if name != "accuracy"],
        partial=_partial(study),
        headline=_headline(study),
        protocol=_PROTOCOLS[study.params.protocol].format(folds=len(study.params.folds)),
        composite=published() if study.params.clip_selection == megc2019.NAME else [],
        mistakes=clip_choice.mistakes(study.predictions),
        rows=_table1(study),
        sentences=comparison.sentences(study.table1),
        published=bool(study.table1["published"].notna().any()),
        drawn=clip_choice.MISTAKES,
        few_classes=len(study.classes) <= clip_choice.TYPICAL,
        summary=summary,
        findings=[] if summary is None else findings(summary),
        spread=study.spread(),
        parameters=parameters(study.params),
        pictures=pictures,
    )


_PROTOCOLS = {
    protocols.LOSO: "leave one subject out",
    protocols.K_FOLD: "{folds} folds of whole subjects",
    protocols.DATABASE: "leave one database out",
}


def _partial(study: Study) -> str:
    """What is missing, if some folds were left out; else empty."""
    params = study.params
    if len(params.trained_folds) == len(params.folds):
        return ""
    left_out = [fold for fold in params.folds if fold not in params.trained_folds]
    return (
        f"{len(params.trained_folds)} of {len(params.folds)} folds, {len(study.predictions)} of {len(study.clips)} "
        f"clips. Held out in turn: {', '.join(params.trained_folds)}. Not trained: {', '.join(left_out)}."
    )


def _table1(study: Study) -> list[dict[str, Any]]:
    """Rows of Table 1; None where a cell is empty."""
    table = study.table1.astype(object)
    return [
        {str(key): value for key, value in row.items()} for row in table.where(table.notna(), None).to_dict("records")
    ]


def _headline(study: Study) -> list[dict[str, Any]]:
    """Each score with its intervals, as fractions; None where a single subject allows none."""
    predictions = study.predictions
    several = predictions["subject"].nunique() > 1
    over_subjects = bootstrap_intervals(predictions, study.classes) if several else {}
    return [
        {
            "name": METRICS[name].label,
            "value": value,
            "correct": study.correct if name == "accuracy" else None,
            "wilson": wilson_interval(study.correct, len(predictions)) if name == "accuracy" else None,
            "subjects": over_subjects.get(name),
        }
        for name, value in study.metrics.items()
    ]
