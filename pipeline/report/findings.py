"""What the scores of the attention say, in sentences: one function per claim.

A claim looks up what it compares in the summary that `attention_scores.summarise` gives. It is silent (None) where
there is nothing to compare, such as the mask of a network without spatial attention. A new claim is a function and a
line in `CLAIMS`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.attention_scores import verdict

Entry = Mapping[str, Any]
"""A mean with its interval: an entry of `summarise`, one of its `scores` or of its `differences`."""
Summary = Mapping[str, Sequence[Entry]]


def findings(summary: Summary) -> list[str]:
    """Every sentence that the numbers allow, in the order of `CLAIMS`."""
    sentences = (claim(summary) for claim in CLAIMS)
    return [_typeset(sentence) for sentence in sentences if sentence is not None]


def mask_against_chance(summary: Summary) -> str | None:
    """The mask as a detector of the moving pixels, compared with chance."""
    score = _score(summary, "mask", "roc_auc")
    if score is None:
        return None
    relation = _relation(_against_chance(score))
    return (
        f"As a detector of the moving pixels, the mask is {relation} chance: area under the ROC curve {_counted(score)}"
    )


def pointing_against_chance(summary: Summary) -> str | None:
    """The pointing game of the mask, compared with chance."""
    score = _score(summary, "mask", "pointing")
    if score is None:
        return None
    relation = _relation(_against_chance(score))
    return (
        f"With its maximum, the mask points into the moving region {relation} chance: share of hits {_counted(score)}"
    )


def contrast_against_chance(summary: Summary) -> str | None:
    """The mask's contrast as a detector of the moving pixels, compared with chance."""
    score = _score(summary, "mask contrast", "roc_auc")
    if score is None:
        return None
    relation = _relation(_against_chance(score))
    return (
        f"The mask's contrast, its standard deviation over channels, is {relation} chance: "
        f"area under the ROC curve {_counted(score)}"
    )


def weights_against_chance(summary: Summary) -> str | None:
    """The temporal weights, compared with weights that do not follow the motion."""
    score = _score(summary, "weights", "rank_correlation")
    if score is None:
        return None
    relation = _relation(_against_chance(score))
    return f"At following the motion, the weights are {relation} chance: rank correlation over time {_counted(score)}"


def mask_against_other_clips(summary: Summary) -> str | None:
    """The mask of a clip, compared with the mean mask of clips that it has nothing to do with."""
    difference = _difference(summary, "mask", "mask of other clips", "roc_auc")
    if difference is None:
        return None
    return f"The mask of a clip is {_relation(_sign(difference))} the mean mask of all other clips{_by(difference)}"


def contrast_against_other_clips(summary: Summary) -> str | None:
    """The contrast of a clip's mask, compared with the mean contrast of clips that it has nothing to do with."""
    difference = _difference(summary, "mask contrast", "mask contrast of other clips", "roc_auc")
    if difference is None:
        return None
    relation = _relation(_sign(difference))
    return f"The mask's contrast of a clip is {relation} the mean contrast of all other clips{_by(difference)}"


def mask_against_flow(summary: Summary) -> str | None:
    """The mask, compared with the speed of the flow, for which no network is needed."""
    difference = _difference(summary, "mask", "flow", "roc_auc")
    if difference is None:
        return None
    return f"The mask is {_relation(_sign(difference))} the plain magnitude of the flow{_by(difference)}"


def feature_map_after_against_before(summary: Summary) -> str | None:
    """The feature map after attention, compared with the one before it."""
    difference = _difference(summary, "after attention", "before attention", "roc_auc")
    if difference is None:
        return None
    return f"The feature map after attention is {_relation(_sign(difference))} the one before{_by(difference)}"


def weights_against_other_clips(summary: Summary) -> str | None:
    """The weights of a clip, compared with the mean weights of clips that it has nothing to do with."""
    difference = _difference(summary, "weights", "weights of other clips", "rank_correlation")
    if difference is None:
        return None
    relation = _relation(_sign(difference))
    return f"The weights of a clip are {relation} the mean weights of all other clips{_by(difference)}"


def weights_against_flow(summary: Summary) -> str | None:
    """The weights, compared with the speed of the flow over time, for which no network is needed."""
    difference = _difference(summary, "weights", "flow", "rank_correlation")
    if difference is None:
        return None
    return f"The weights are {_relation(_sign(difference))} the plain magnitude of the flow{_by(difference)}"


def mask_knows_faces_in_general(summary: Summary) -> str | None:
    """Said where the mask beats chance, but not the mean mask of other clips."""
    score = _score(summary, "mask", "roc_auc")
    difference = _difference(summary, "mask", "mask of other clips", "roc_auc")
    if score and difference and _against_chance(score) == "above" and _sign(difference) in ("at", "below"):
        return "So nothing shows that the mask's mean over channels knows more than where faces move in general."
    return None


def weights_know_faces_in_general(summary: Summary) -> str | None:
    """Said where the weights beat chance, but not the mean weights of other clips."""
    score = _score(summary, "weights", "rank_correlation")
    difference = _difference(summary, "weights", "weights of other clips", "rank_correlation")
    if score and difference and _against_chance(score) == "above" and _sign(difference) in ("at", "below"):
        return "So nothing shows that the weights know more than when faces move in general."
    return None


def channels_cancel(summary: Summary) -> str | None:
    """Said where the contrast of a clip's mask beats that of other clips, and its mean over channels does not."""
    mean = _difference(summary, "mask", "mask of other clips", "roc_auc")
    contrast = _difference(summary, "mask contrast", "mask contrast of other clips", "roc_auc")
    if mean and contrast and _sign(mean) in ("at", "below") and _sign(contrast) == "above":
        return (
            "What the mask knows of a single clip is in its contrast: where the face moves it raises some channels and "
            "lowers others, which cancel in the mean."
        )
    return None


CLAIMS = (
    mask_against_chance,
    pointing_against_chance,
    contrast_against_chance,
    weights_against_chance,
    mask_against_other_clips,
    contrast_against_other_clips,
    mask_against_flow,
    feature_map_after_against_before,
    weights_against_other_clips,
    weights_against_flow,
    mask_knows_faces_in_general,
    weights_know_faces_in_general,
    channels_cancel,
)
"""Every claim, in the order in which the page makes them; the last three draw conclusions from those before."""


def _score(summary: Summary, what: str, measure: str) -> Entry | None:
    """The entry of `what` among the scores."""
    return next((e for e in summary["scores"] if (e["what"], e["measure"]) == (what, measure)), None)


def _difference(summary: Summary, what: str, than: str, measure: str) -> Entry | None:
    """The entry of `what` less `than` among the differences."""
    key = (what, than, measure)
    return next((e for e in summary["differences"] if (e["what"], e["than"], e["measure"]) == key), None)


def _against_chance(score: Entry) -> str:
    return verdict(score, score["chance"])


def _sign(difference: Entry) -> str:
    return verdict(difference, 0)


def _relation(found: str) -> str:
    """A verdict of `attention_scores.verdict` in words."""
    return {
        "above": "better than",
        "below": "worse than",
        "at": "neither measurably better nor measurably worse than",
        "unknown": "(a single subject allows no interval) compared with",
    }[found]


def _counted(score: Entry) -> str:
    """Mean, interval, chance, and the clips above it: the end of a sentence about a score."""
    return (
        f"{_with_interval(score)}; chance {score['chance']:.3f}; "
        f"{score['above_chance']} of {score['clips']} clips above it."
    )


def _by(difference: Entry) -> str:
    """Mean and interval: the end of a sentence about a difference."""
    return f": difference {_with_interval(difference, sign='+')}."


def _with_interval(entry: Entry, sign: str = "") -> str:
    mean = f"{entry['mean']:{sign}.3f}"
    return f"{mean} (95 % interval {entry['low']:{sign}.3f} to {entry['high']:{sign}.3f})" if "low" in entry else mean


def _typeset(sentence: str) -> str:
    """A minus instead of a hyphen, and no line break before a per cent sign."""
    return sentence.replace("-0.", "−0.").replace(" %", "\u00a0%")
