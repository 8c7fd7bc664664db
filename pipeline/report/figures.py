"""Every figure of the page, in its order: which figure shows what of a study, and what its file is called.

The figures themselves are made by `score_figures`, `attention_figures` and `clip_figures`. A new one is a function
there and a line here; page.html.jinja shows it.
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.evaluation import comparison, metrics
from pipeline.report import attention_figures, clip_figures, drawing, score_figures
from pipeline.report.attention_scores import motion_energy
from pipeline.report.clip_choice import MISTAKES, mistakes, to_draw
from pipeline.report.study import Study

_CROWD = 10  # subjects of whom a mean face shows nobody
_MIME = {".png": "image/png", ".svg": "image/svg+xml"}


def draw(study: Study, scored: pd.DataFrame | None, folder: Path) -> dict[str, Any]:
    """Draw all figures, each into a file of `folder`.

    Parameters
    ----------
    study
        What they are about.
    scored
        What `Study.scored` gives.
    folder
        An empty folder.

    Returns
    -------
    The data URI of each figure by its name; `clips` holds those of single clips, by clip. Left out are `confusions`
    where none of the methods of the paper's figures was run, `head_motion` where it is kept, `temporal` without
    temporal attention, `scores` where the face's motion is not known, and `mistakes` where there is none.
    """

    def drawn(figure: Figure, file: str) -> str:
        drawing.write(figure, folder / file)
        content = base64.b64encode((folder / file).read_bytes()).decode()
        return f"data:{_MIME[Path(file).suffix]};base64,{content}"

    examples = _examples(study)
    pictures: dict[str, Any] = {
        "table1": drawn(score_figures.table1(comparison.scored(study.table1)), "table1.svg"),
        "confusion": drawn(confusion(study), "confusion.svg"),
        "subjects": drawn(
            score_figures.accuracy_per_subject(study.per_subject, study.metrics["accuracy"]), "subjects.svg"
        ),
        "curves": drawn(score_figures.training_curves(study.curves), "curves.svg"),
        "spatial": drawn(attention_figures.spatial_attention(list(examples.values())), "spatial_attention.png"),
        "clips": {
            clip: drawn(clip_attention(study, clip, example), f"clip_{clip.replace('/', '_')}.png")
            for clip, example in examples.items()
        },
    }
    if study.params.head_motion != "keep":
        pictures["head_motion"] = drawn(head_motion(study, next(iter(examples))), "head_motion.png")
    if len(matrices := confusions(study)) > 1:
        pictures["confusions"] = drawn(score_figures.confusions(matrices, study.classes), "confusions.svg")
    if study.weights():
        pictures["temporal"] = drawn(temporal_attention(study), "temporal_attention.svg")
    if scored is not None:
        pictures["scores"] = drawn(attention_figures.attention_scores(scored), "attention_scores.svg")
    if study.correct < len(study.predictions):
        pictures["mistakes"] = drawn(worst_mistakes(study), "mistakes.png")
    return pictures


def confusion(study: Study) -> Figure:
    """The confusion matrix over all folds."""
    table = study.predictions
    matrix = metrics.confusion_matrix(table["label"], table["predicted"], study.classes)
    return score_figures.confusion(matrix, study.classes)


def confusions(study: Study) -> dict[str, np.ndarray]:
    """Confusion matrices of STANet and of the other methods in the paper's Figures 3 to 5, by title."""
    titles = dict(zip(study.table1["method"], study.table1["title"], strict=True))
    predictions = {study.table1["method"].iloc[0]: study.predictions, **study.others}
    return {
        titles[method]: metrics.confusion_matrix(table["label"], table["predicted"], study.classes)
        for method, table in predictions.items()
        if method in titles
    }


def clip_attention(study: Study, clip: str, example: attention_figures.Example) -> Figure:
    """What the network looks at in one clip, frame by frame."""
    energy = None if study.truth is None else study.truth[clip].energy
    title = example.title.replace("\n", ", ")
    return clip_figures.clip_attention(example.frames, example.flow, example.attention, title, energy)


def head_motion(study: Study, clip: str) -> Figure:
    """Where the head of a clip goes, and the flow with and without it."""
    return clip_figures.head_motion(study.head_motion(clip), study.flow(clip), clip)


def temporal_attention(study: Study) -> Figure:
    """When the networks look, over all clips."""
    weights = study.weights()
    inside = next(iter(study.attention.values())).grid.inside
    energies = [motion_energy(study.flow(clip)[..., inside, inside]) for clip in weights]
    return attention_figures.temporal_attention(np.stack(list(weights.values())), np.stack(energies))


def worst_mistakes(study: Study) -> Figure:
    """The mistakes of which the networks were most certain, as strips: frames, if they may be shown, above the flow."""
    clips = [str(clip) for clip in mistakes(study.predictions)["clip"][:MISTAKES]]
    return clip_figures.strips([(_caption(study, clip).replace("\n", ", "), _strips(study, clip)) for clip in clips])


def mean_face(study: Study) -> np.ndarray:
    """Mean of the first frames of all clips, uint8 (S, S, 3); plain grey if there are too few to hide a person."""
    names = list(study.clips["clip"])
    if study.clips["subject"].nunique() < _CROWD:
        return np.full(study.frames(names[0]).shape[1:], 190, np.uint8)
    mean: np.ndarray = np.rint(np.mean([study.frames(clip)[0] for clip in names], axis=0))
    return mean.astype(np.uint8)


def _examples(study: Study) -> dict[str, attention_figures.Example]:
    """The clips of `to_draw`, over the mean face where faces may not be shown."""
    background = None if study.shows_faces else mean_face(study)
    examples = {}
    for clip in to_draw(study):
        flow = study.flow(clip)
        frames = study.frames(clip) if background is None else np.stack([background] * (len(flow) + 1))
        region = None if study.truth is None else study.truth[clip].region
        examples[clip] = attention_figures.Example(_caption(study, clip), frames, flow, study.attention[clip], region)
    return examples


def _caption(study: Study, clip: str) -> str:
    """Id, actual and predicted class of a clip, and the probability of the latter, in three lines."""
    row: Any = study.predictions.set_index("clip").loc[clip]
    confidence = float(row[f"p_{row['predicted']}"])
    return f"{clip}\nactual {row['label']}\npredicted {row['predicted']} ({100 * confidence:.0f} %)"


def _strips(study: Study, clip: str) -> list[np.ndarray]:
    """Frames of a clip, if they may be shown, and its flow in colours: uint8 (F, S, S, 3) and (T, S, S, 3)."""
    flow = np.asarray(study.flow(clip), np.float32)
    colours = drawing.flow_colours(flow, float(np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 0.995)))
    return [study.frames(clip), colours] if study.shows_faces else [colours]
