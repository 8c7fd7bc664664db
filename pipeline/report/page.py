"""The page on a study: its scores, its figures and what is needed to get them again, in one file.

Nothing in it depends on when, where or how often it was made: equal studies give equal bytes. Its text is in
`page.html.jinja`, its pictures are made by `figures.py`.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from pipeline.errors import InputError
from pipeline.evaluation import metrics, significance
from pipeline.params import Params
from pipeline.report import attention_scores, figures
from pipeline.stanet.introspection import Attention
from pipeline.synthetic.truth import Truth

_TEMPLATE = "page.html.jinja"
_TYPICAL = 5  # classes of which a typical clip is drawn: a page must not grow without bound
_MISTAKES = 6  # clips drawn as strips
_CROWD = 10  # subjects of whom a mean face shows nobody
_MIME = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Study:
    """What a report is about; tables as the stages write them."""

    params: Params
    classes: list[str]
    clips: pd.DataFrame
    """All clips of the dataset."""
    predictions: pd.DataFrame
    """Of the folds that were trained."""
    metrics: dict[str, float]
    per_subject: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    """By subject held out."""
    devices: Mapping[str, str]
    """Kind of device on which each fold was trained, by subject held out."""
    trained_with: Mapping[str, Mapping[str, str]]
    """Versions of packages, by subject held out."""
    drawn_with: Mapping[str, str]
    """Versions of packages that made the page."""
    estimator: Mapping[str, Any]
    """How the flow was estimated."""
    published: Sequence[tuple[str, float]]
    """The dataset's column of the paper's Table 1: method and accuracy in per cent."""
    annotation: Mapping[str, str]
    """SHA-256 of each annotation file."""
    hashes: Mapping[str, str]
    """SHA-256 of each file that the page was made from."""
    attention: Mapping[str, Attention]
    """By clip, of the network that was trained without its subject."""
    truth: Mapping[str, Truth] | None
    """By clip, where the motion is known."""
    frames: Callable[[str], np.ndarray]
    """uint8 (F, S, S, 3) of a clip."""
    flow: Callable[[str], np.ndarray]
    """(T, 2, S, S) of a clip, pixels per frame."""

    @property
    def shows_faces(self) -> bool:
        """The embedded dataset shows no real person; other faces are shown on request only."""
        return self.params.report.faces or self.params.embedded


def write(study: Study, page: Path, folder: Path, scores: Path) -> None:
    """Write the page, its figures into `folder`, and the scores of the attention as JSON.

    Raises
    ------
    InputError
        A clip of `report.clips` is not among the predictions.
    """
    _check_chosen(study)
    folder.mkdir()
    scored = _score(study)
    summary = None if scored is None else attention_scores.summarise(scored)
    page.write_text(render(study, summary, _draw(study, scored, folder)), encoding="utf-8")
    scores.write_text(json.dumps(_attention_json(study, scored, summary), indent=2) + "\n")


def render(study: Study, summary: Mapping[str, Any] | None, pictures: Mapping[str, Any]) -> str:
    """The page as HTML.

    Parameters
    ----------
    study
        What it is about.
    summary
        What `attention_scores.summarise` gives, or None where the motion is not known.
    pictures
        Data URI of each figure; `clips` holds those of single clips, by clip.
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
        partial=_partial(study),
        mixed=_mixed(study.devices),
        headline=_headline(study),
        baseline=_baseline(study.predictions),
        mistakes=_mistakes(study.predictions),
        drawn=_MISTAKES,
        few_classes=len(study.classes) <= _TYPICAL,
        summary=summary,
        findings=[] if summary is None else findings(summary),
        no_truth=_no_truth(study.params),
        spread=_spread(study),
        parameters=parameters(study.params),
        training_versions=_versions(study.trained_with),
        pictures=pictures,
    )


def parameters(params: Params) -> dict[str, str]:
    """The parameters that a result depends on, key by key of params.yaml; where files lie is no part of a result."""
    document = asdict(params)
    document["lambda"] = document.pop("lambda_")
    for section in document["databases"].values():
        del section["raw"]
        section["annotation"]["file"] = Path(section["annotation"]["file"]).name
    for section in ("runtime", *([] if params.embedded else ["synthesize"])):
        del document[section]
    return dict(sorted(_flat(document)))


def _flat(section: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in section.items():
        if isinstance(value, dict) and key != "face_boxes":
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value if isinstance(value, str) else json.dumps(value)))
    return rows


def _check_chosen(study: Study) -> None:
    unknown = [clip for clip in study.params.report.clips if clip not in set(study.predictions["clip"])]
    if unknown:
        folds = ", ".join(study.params.folds)
        raise InputError(
            f"params.yaml: report.clips: expected clips of {study.params.dataset} whose subject is held out ({folds}); "
            f"found {', '.join(unknown)}. The clips are listed in data/{study.params.dataset}/clips.csv."
        )


def _partial(study: Study) -> str:
    """What is missing, if some folds were left out."""
    params = study.params
    if len(params.folds) == len(params.subjects):
        return ""
    left_out = [subject for subject in params.subjects if subject not in params.folds]
    return (
        f"{len(params.folds)} of {len(params.subjects)} folds, {len(study.predictions)} of {len(study.clips)} clips. "
        f"Held out in turn: {', '.join(params.folds)}. Not trained: {', '.join(left_out)}."
    )


def _mixed(devices: Mapping[str, str]) -> str:
    """Which folds were trained on which kind of device, if there is more than one."""
    kinds = sorted(set(devices.values()))
    if len(kinds) < 2:
        return ""
    return "; ".join(f"{kind}: {', '.join(name for name, used in devices.items() if used == kind)}" for kind in kinds)


def _versions(trained_with: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    """Versions of the packages that trained the folds, and which folds: one row if they are the same for all."""
    groups: dict[str, list[str]] = {}
    for subject, versions in trained_with.items():
        groups.setdefault(", ".join(f"{name} {found}" for name, found in sorted(versions.items())), []).append(subject)
    return [(versions, "all folds" if len(groups) == 1 else ", ".join(names)) for versions, names in groups.items()]


def _headline(study: Study) -> list[dict[str, Any]]:
    """Each score with its intervals, as fractions; None where a single subject allows none."""
    predictions = study.predictions
    correct = int((predictions["label"] == predictions["predicted"]).sum())
    several = predictions["subject"].nunique() > 1
    over_subjects = significance.bootstrap_intervals(predictions, study.classes) if several else {}
    return [
        {
            "name": {"accuracy": "Accuracy", "uf1": "UF1", "uar": "UAR"}[name],
            "value": value,
            "correct": correct if name == "accuracy" else None,
            "wilson": significance.wilson_interval(correct, len(predictions)) if name == "accuracy" else None,
            "subjects": over_subjects.get(name),
        }
        for name, value in study.metrics.items()
    ]


def _baseline(predictions: pd.DataFrame) -> tuple[str, float]:
    """The largest class, the first by name among equals, and how often naming it is right."""
    counts = predictions["label"].value_counts()
    largest = min(counts.index[counts == counts.max()])
    return largest, float(counts.max() / len(predictions))


def _confidence(predictions: pd.DataFrame, column: str) -> list[float]:
    """Probability of the class named in `column`, row by row."""
    return [float(row[f"p_{row[column]}"]) for _, row in predictions.iterrows()]


def _mistakes(predictions: pd.DataFrame) -> pd.DataFrame:
    """The clips that are wrong, most confident first, with a column `confidence`."""
    table = predictions.assign(confidence=_confidence(predictions, "predicted"))
    wrong = table[table["label"] != table["predicted"]]
    return wrong.sort_values(["confidence", "clip"], ascending=[False, True], ignore_index=True)


def _typical(study: Study) -> dict[str, str]:
    """Of each of the largest classes the clip whose own class has the median probability: class -> clip."""
    table = study.predictions.assign(own=_confidence(study.predictions, "label"))
    counts = table["label"].value_counts()
    largest = sorted(study.classes, key=lambda name: (-counts.get(name, 0), name))[:_TYPICAL]
    chosen = {}
    for name in study.classes:
        clips = table[table["label"] == name].sort_values(["own", "clip"])
        if name in largest and len(clips):
            chosen[name] = str(clips["clip"].iloc[(len(clips) - 1) // 2])
    return chosen


def _score(study: Study) -> pd.DataFrame | None:
    if study.truth is None:
        return None
    return attention_scores.score(study.predictions[["clip", "subject"]], study.attention, study.flow, study.truth)


def _no_truth(params: Params) -> str:
    """Why attention cannot be scored; only of use where it was not."""
    if not params.embedded:
        return f"Where and when a face moves is not known for {params.dataset}; it is for the embedded dataset."
    return "The frames were cropped to the face (face: crop), and the known motion is that of whole frames."


def _attention_json(study: Study, scored: pd.DataFrame | None, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    if scored is None or summary is None:
        return {"reason": _no_truth(study.params)}
    single = [
        {"clip": clip}
        | {f"{row.measure}, {row.what}": None if np.isnan(row.value) else row.value for row in rows.itertuples()}
        for clip, rows in scored.groupby("clip", sort=False)
    ]
    return {**summary, "weights": _spread(study), "clips": single}


def _spread(study: Study) -> dict[str, float] | None:
    weights = [shown.weights for shown in study.attention.values()]
    return None if weights[0] is None else attention_scores.spread(weights)


_BETTER = {
    "above": "better than",
    "below": "worse than",
    "at": "neither measurably better nor measurably worse than",
    "unknown": "(a single subject allows no interval) compared with",
}
_CHANCE = {
    ("mask", "roc_auc"): "As a detector of the moving pixels, the mask is {} chance: area under the ROC curve {}",
    ("mask", "pointing"): "With its maximum, the mask points into the moving region {} chance: share of hits {}",
    ("mask contrast", "roc_auc"): (
        "The mask's contrast, its standard deviation over channels, is {} chance: area under the ROC curve {}"
    ),
    (
        "weights",
        "rank_correlation",
    ): "At following the motion, the weights are {} chance: rank correlation over time {}",
}
_DIFFERENCES = {
    ("mask", "mask of other clips", "roc_auc"): "The mask of a clip is {} the mean mask of all other clips",
    ("mask contrast", "mask contrast of other clips", "roc_auc"): (
        "The mask's contrast of a clip is {} the mean contrast of all other clips"
    ),
    ("mask", "flow", "roc_auc"): "The mask is {} the plain magnitude of the flow",
    ("after attention", "before attention", "roc_auc"): "The feature map after attention is {} the one before",
    ("weights", "weights of other clips", "rank_correlation"): (
        "The weights of a clip are {} the mean weights of all other clips"
    ),
    ("weights", "flow", "rank_correlation"): "The weights are {} the plain magnitude of the flow",
}


def findings(summary: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What the scores of `attention_scores.summarise` say, in sentences made from the numbers."""
    sentences, verdicts = [], {}
    for entry in summary["scores"]:
        key = entry["what"], entry["measure"]
        if key in _CHANCE:
            verdicts[key] = attention_scores.verdict(entry, entry["chance"])
            found = f"{_with_interval(entry)}; chance {entry['chance']:.3f}; "
            found += f"{entry['above_chance']} of {entry['clips']} clips above it."
            sentences.append(_CHANCE[key].format(_BETTER[verdicts[key]], found))
    for entry in summary["differences"]:
        key = entry["what"], entry["than"], entry["measure"]
        if key in _DIFFERENCES:
            verdicts[key] = attention_scores.verdict(entry, 0)
            said = _DIFFERENCES[key].format(_BETTER[verdicts[key]])
            sentences.append(f"{said}: difference {_with_interval(entry, sign='+')}.")
    for what, alone, measure, conclusion in (
        ("mask", "mask of other clips", "roc_auc", "the mask's mean over channels knows more than where faces move"),
        ("weights", "weights of other clips", "rank_correlation", "the weights know more than when faces move"),
    ):
        if verdicts.get((what, measure)) == "above" and verdicts.get((what, alone, measure)) in ("at", "below"):
            sentences.append(f"So nothing shows that {conclusion} in general.")
    mean, contrast = (verdicts.get((what, f"{what} of other clips", "roc_auc")) for what in ("mask", "mask contrast"))
    if mean in ("at", "below") and contrast == "above":
        sentences.append(
            "What the mask knows of a single clip is in its contrast: where the face moves it raises some channels and "
            "lowers others, which cancel in the mean."
        )
    return [sentence.replace("-0.", "−0.").replace(" %", "\u00a0%") for sentence in sentences]


def _with_interval(entry: Mapping[str, Any], sign: str = "") -> str:
    mean = f"{entry['mean']:{sign}.3f}"
    return f"{mean} (95 % interval {entry['low']:{sign}.3f} to {entry['high']:{sign}.3f})" if "low" in entry else mean


def _draw(study: Study, scored: pd.DataFrame | None, folder: Path) -> dict[str, Any]:
    """All figures, each written into `folder`: name -> data URI; `clips` holds those of single clips by clip."""

    def drawn(figure: Figure, file: str) -> str:
        figures.write(figure, folder / file)
        content = base64.b64encode((folder / file).read_bytes()).decode()
        return f"data:{_MIME[Path(file).suffix]};base64,{content}"

    predictions, classes = study.predictions, study.classes
    correct = int((predictions["label"] == predictions["predicted"]).sum())
    largest, share = _baseline(predictions)
    guess = (f"always {largest}", share)
    matrix = metrics.confusion_matrix(predictions["label"], predictions["predicted"], classes)
    pictures: dict[str, Any] = {
        "comparison": drawn(figures.comparison(correct, len(predictions), guess, study.published), "comparison.svg"),
        "confusion": drawn(figures.confusion(matrix, classes), "confusion.svg"),
        "subjects": drawn(figures.accuracy_per_subject(study.per_subject, study.metrics["accuracy"]), "subjects.svg"),
        "curves": drawn(figures.training_curves(study.curves), "curves.svg"),
    }
    background = None if study.shows_faces else _mean_face(study)
    chosen = _to_draw(study)
    examples = [_example(study, clip, background) for clip in chosen]
    pictures["spatial"] = drawn(figures.spatial_attention(examples), "spatial_attention.png")
    pictures["clips"] = {}
    for clip, example in zip(chosen, examples, strict=True):
        energy = None if study.truth is None else study.truth[clip].energy
        figure = figures.clip_attention(
            example.frames, example.flow, example.attention, example.title.replace("\n", ", "), energy
        )
        pictures["clips"][clip] = drawn(figure, f"clip_{clip.replace('/', '_')}.png")
    if next(iter(study.attention.values())).weights is not None:
        clips = list(study.attention)
        weights = np.stack([study.attention[clip].weights for clip in clips])
        inside = study.attention[clips[0]].grid.inside
        energies = np.stack([attention_scores.motion_energy(study.flow(clip)[..., inside, inside]) for clip in clips])
        pictures["temporal"] = drawn(figures.temporal_attention(weights, energies), "temporal_attention.svg")
    if scored is not None:
        pictures["scores"] = drawn(figures.attention_scores(scored), "attention_scores.svg")
    wrong = _mistakes(predictions)[:_MISTAKES]
    if len(wrong):
        rows = [
            (_caption(row, row.confidence).replace("\n", ", "), _strips(study, row.clip)) for row in wrong.itertuples()
        ]
        pictures["mistakes"] = drawn(figures.strips(rows), "mistakes.png")
    return pictures


def _to_draw(study: Study) -> list[str]:
    return list(dict.fromkeys([*study.params.report.clips, *_typical(study).values()]))


def _example(study: Study, clip: str, background: np.ndarray | None) -> figures.Example:
    flow = study.flow(clip)
    frames = study.frames(clip) if background is None else np.stack([background] * (len(flow) + 1))
    [row] = study.predictions[study.predictions["clip"] == clip].itertuples()
    [confidence] = _confidence(study.predictions[study.predictions["clip"] == clip], "predicted")
    region = None if study.truth is None else study.truth[clip].region
    return figures.Example(_caption(row, confidence), frames, flow, study.attention[clip], region)


def _caption(row: Any, confidence: float) -> str:
    return f"{row.clip}\nactual {row.label}\npredicted {row.predicted} ({100 * confidence:.0f} %)"


def _mean_face(study: Study) -> np.ndarray:
    """Mean of the first frames of all clips, uint8 (S, S, 3); plain grey if there are too few to hide a person."""
    names = list(study.clips["clip"])
    if study.clips["subject"].nunique() < _CROWD:
        return np.full(study.frames(names[0]).shape[1:], 190, np.uint8)
    return np.rint(np.mean([study.frames(clip)[0] for clip in names], axis=0)).astype(np.uint8)


def _strips(study: Study, clip: str) -> list[np.ndarray]:
    """Frames of a clip, if they may be shown, and its flow in colours: uint8 (F, S, S, 3) and (T, S, S, 3)."""
    flow = np.asarray(study.flow(clip), np.float32)
    colours = figures.flow_colours(flow, float(np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 0.995)))
    return [study.frames(clip), colours] if study.shows_faces else [colours]
