"""Does attention look where and when the face moves? Scores against known motion.

Where: the area under the ROC curve of a map as a detector of the moving pixels, and the pointing game (Zhang et al.,
Top-Down Neural Attention by Excitation Backprop, IJCV 126, 2018, doi:10.1007/s11263-017-1059-x): is the map's maximum
inside the moving region? When: the rank correlation (Spearman's) of the temporal weights with the motion.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from pipeline.evaluation import significance
from pipeline.networks.stanet.introspection import Attention
from pipeline.synthetic.truth import Truth

_MEASURES = {"spatial": ("roc_auc", "pointing"), "temporal": ("rank_correlation",)}


def without_head_motion(flow: np.ndarray) -> np.ndarray:
    """Flow (..., 2, H, W) less the median vector of each frame: the head's motion, if most of the face is at rest."""
    still: np.ndarray = flow - np.median(flow, axis=(-2, -1), keepdims=True)
    return still


def motion_energy(flow: np.ndarray) -> np.ndarray:
    """How much a face moves in each flow frame, without its head: (T, 2, H, W) -> (T,), pixels per frame.

    Root mean square, so that a small part that moves outweighs the noise of all that rests.
    """
    energy: np.ndarray = (without_head_motion(np.asarray(flow, np.float32)) ** 2).sum(axis=1).mean(axis=(1, 2))
    return np.asarray(np.sqrt(energy))


def roc_auc(field: np.ndarray, region: np.ndarray) -> float:
    """How often a pixel of the region has a larger value than one outside of it; ties count half.

    Parameters
    ----------
    field
        (S, S), NaN where the map says nothing; these pixels do not count.
    region
        bool (S, S).

    Returns
    -------
    In [0, 1]; NaN if no pixel or every pixel that counts is in the region.
    """
    seen = ~np.isnan(field)
    ranks, inside = rankdata(field[seen]), region[seen]
    positives, negatives = int(inside.sum()), int((~inside).sum())
    if not positives or not negatives:
        return float("nan")
    return float((ranks[inside].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def pointing(field: np.ndarray, region: np.ndarray) -> float:
    """Pointing game without tolerance: 1 if the maximum of the field is in the region, 0 if not.

    Maps are coarse, so that a maximum may be a plateau: then the share of it that is in the region. Pixels that are
    NaN do not count. By chance: the region's share of the pixels.
    """
    return float(region[field == np.nanmax(field)].mean())


def rank_correlation(weights: np.ndarray, energy: np.ndarray) -> float:
    """Spearman's rank correlation of the weights of a clip (T,) with its motion (T,); NaN if either is constant."""
    if np.ptp(weights) == 0 or np.ptp(energy) == 0:
        return float("nan")
    return float(spearmanr(weights, energy).statistic)


def others(fields: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each clip the mean over all other clips: what is known of it without having seen it.

    Raises
    ------
    ValueError
        There are fewer than two.
    """
    if len(fields) < 2:
        raise ValueError(f"expected at least 2 clips, got {len(fields)}")
    total = np.sum(fields, axis=0)
    return [(total - field) / (len(fields) - 1) for field in fields]


def spread(weights: Sequence[np.ndarray]) -> dict[str, float]:
    """How far temporal weights (T,) of clips are from the 1 / T of no attention.

    Returns
    -------
    `median` and the quantiles `low` (2.5 %) and `high` (97.5 %) of all weights; `largest`, the mean over clips of the
    largest weight; `frames`, the mean over clips of exp(entropy): how many frames share the weight.
    """
    table = np.stack(weights).astype(np.float64)
    low, median, high = np.quantile(table, [0.025, 0.5, 0.975])
    entropy = -(table * np.log(np.maximum(table, 1e-300))).sum(axis=1)
    return {
        "median": float(median),
        "low": float(low),
        "high": float(high),
        "largest": float(table.max(axis=1).mean()),
        "frames": float(np.exp(entropy).mean()),
    }


def score(
    clips: pd.DataFrame,
    attention: Mapping[str, Attention],
    flow: Callable[[str], np.ndarray],
    truth: Mapping[str, Truth],
) -> pd.DataFrame:
    """Score what the networks look at in every clip, and beside it what needs no network or has not seen the clip.

    Parameters
    ----------
    clips
        Table with the columns `clip,subject`.
    attention
        What the network that was trained without a clip's subject makes of it, by clip.
    flow
        Function that gives the flow of a clip, (T, 2, S, S) in pixels per frame.
    truth
        Where and when the expression moves the face, by clip.

    Returns
    -------
    Columns `clip,subject,kind,what,measure,value,chance`; `kind` is `spatial` or `temporal`, `what` is scored:

    - `mask`, `before attention`, `after attention`: means over frames and channels;
    - `mask contrast`: standard deviation over channels, mean over frames;
    - `mask of other clips`, `mask contrast of other clips`, `weights of other clips`: means over all other clips, which
      know where and when faces tend to move but nothing of this one;
    - `weights`;
    - `flow`, `flow without head motion`: speed per pixel, or in each frame over the network's input.

    A value is NaN where there is nothing to score, such as a clip that moves nowhere in view.
    """
    names = list(clips["clip"])
    looks = [attention[clip] for clip in names]
    spatial = _with_others("mask", [look.mask.mean(axis=0) for look in looks if look.mask is not None])
    spatial |= _with_others(
        "mask contrast", [look.contrast.mean(axis=0) for look in looks if look.contrast is not None]
    )
    spatial["before attention"] = [look.before.mean(axis=0) for look in looks]
    if "mask" in spatial:
        spatial["after attention"] = [look.after.mean(axis=0) for look in looks]
    temporal = _with_others("weights", [look.weights for look in looks if look.weights is not None])
    rows = []
    for number, (clip, subject) in enumerate(zip(names, clips["subject"], strict=True)):
        grid, (region, energy) = attention[clip].grid, truth[clip]
        fields = {what: grid.over_frame(maps[number]) for what, maps in spatial.items()}
        courses = {what: series[number] for what, series in temporal.items()}
        seen = np.asarray(flow(clip), np.float32)[..., grid.inside, grid.inside]
        for what, shown in (("flow", seen), ("flow without head motion", without_head_motion(seen))):
            speed = np.hypot(shown[:, 0], shown[:, 1])  # (T, crop, crop)
            fields[what] = np.full(region.shape, np.nan, np.float32)
            fields[what][grid.inside, grid.inside] = speed.mean(axis=0)
            courses[what] = np.sqrt((speed**2).mean(axis=(1, 2)))
        share = region[grid.inside, grid.inside].mean()
        for what, field in fields.items():
            rows.append((clip, subject, "spatial", what, "roc_auc", roc_auc(field, region), 0.5))
            rows.append(
                (clip, subject, "spatial", what, "pointing", pointing(field, region) if share else np.nan, share)
            )
        for what, course in courses.items():
            rows.append((clip, subject, "temporal", what, "rank_correlation", rank_correlation(course, energy), 0.0))
    return pd.DataFrame(rows, columns=["clip", "subject", "kind", "what", "measure", "value", "chance"])


def _with_others(what: str, fields: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The fields of all clips, and for each the mean over the other clips; nothing of a branch that there is not."""
    if not fields:
        return {}
    return {what: fields} | ({f"{what} of other clips": others(fields)} if len(fields) > 1 else {})


# Differences that say what attention adds: to chance, to a look at other clips, to plain flow.
_COMPARED = (
    ("mask", "mask of other clips"),
    ("mask contrast", "mask contrast of other clips"),
    ("mask", "flow"),
    ("mask contrast", "flow"),
    ("after attention", "before attention"),
    ("weights", "weights of other clips"),
    ("weights", "flow"),
)


def summarise(scores: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Means over clips of what `score` gives, with 95 % intervals from drawing subjects with replacement.

    Returns
    -------
    `scores`: one entry per `kind`, `what` and `measure` with `mean`, `low`, `high` (no interval with one subject), the
    mean `chance`, the number of `clips` that were scored, and how many are `above_chance`; and `differences`, likewise
    for `what` less `than`, clip by clip.
    """
    summaries: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for (kind, what, measure), group in scores.groupby(["kind", "what", "measure"], sort=False):
        scored = group.dropna(subset="value")
        if scored.empty:
            continue
        entry = {"kind": kind, "what": what, "measure": measure} | _mean(scored["value"], list(scored["subject"]))
        entry["chance"] = float(scored["chance"].mean())
        entry["above_chance"] = int((scored["value"] > scored["chance"]).sum())
        summaries.append(entry)
    wide = scores.pivot(index=["clip", "subject"], columns=["what", "measure"], values="value")
    for kind, measures in _MEASURES.items():
        for first, second in _COMPARED:
            for measure in measures:
                if (first, measure) in wide and (second, measure) in wide:
                    difference = (wide[first, measure] - wide[second, measure]).dropna()
                    if len(difference):
                        subjects = list(difference.index.get_level_values("subject"))
                        entry = {"kind": kind, "what": first, "than": second, "measure": measure}
                        differences.append(entry | _mean(difference, subjects))
    return {"scores": summaries, "differences": differences}


def _mean(values: "pd.Series[float]", subjects: Sequence[str]) -> dict[str, float]:
    """Mean over clips, its interval where there are several subjects, and the number of clips."""
    entry: dict[str, float] = {"mean": float(values.mean())}
    if len(set(subjects)) > 1:
        entry["low"], entry["high"] = significance.mean_interval(values, subjects)
    return entry | {"clips": len(values)}


def verdict(entry: Mapping[str, Any], chance: float) -> str:
    """Where a mean lies: `above`, `below` or `at` chance, or `unknown` where one subject allows no interval."""
    if "low" not in entry:
        return "unknown"
    return "above" if entry["low"] > chance else "below" if entry["high"] < chance else "at"


def document(scored: pd.DataFrame, weights: Mapping[str, float] | None) -> dict[str, Any]:
    """What attention.json says of a study whose motion is known.

    Parameters
    ----------
    scored
        The scores of single clips, as `score` gives them.
    weights
        What `spread` gives; None without temporal attention.

    Returns
    -------
    `scores` and `differences` of `summarise`, the `weights`, and in `clips` the scores of each clip by measure and what
    was scored; None where there was nothing to score.
    """
    single = [
        {"clip": clip}
        | {
            f"{measure}, {what}": None if np.isnan(value) else value
            for measure, what, value in zip(rows["measure"], rows["what"], rows["value"], strict=True)
        }
        for clip, rows in scored.groupby("clip", sort=False)
    ]
    return {**summarise(scored), "weights": weights, "clips": single}
