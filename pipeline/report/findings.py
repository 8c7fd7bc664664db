"""What the scores of the attention say, in sentences.

Most sentences set one entry of the summary that `attention_scores.summarise` gives against chance or against another
entry: such a claim is a row of `AGAINST_CHANCE` or `AGAINST_OTHERS`. A conclusion from several entries is a function of
`CONCLUSIONS`. What the summary has no entry for, such as the mask of a network without spatial attention, is not
mentioned.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.attention_scores import verdict

Entry = Mapping[str, Any]
"""A mean with its interval: an entry of `summarise`, one of its `scores` or of its `differences`."""
Summary = Mapping[str, Sequence[Entry]]

AGAINST_CHANCE = {
    ("mask", "roc_auc"): (
        "As a detector of the moving pixels, the mask is {relation} chance: area under the ROC curve {score}"
    ),
    ("mask", "pointing"): (
        "With its maximum, the mask points into the moving region {relation} chance: share of hits {score}"
    ),
    ("mask contrast", "roc_auc"): (
        "The mask's contrast, its standard deviation over channels, is {relation} chance: area under the ROC curve "
        "{score}"
    ),
    ("weights", "rank_correlation"): (
        "At following the motion, the weights are {relation} chance: rank correlation over time {score}"
    ),
}
"""Sentences by what is scored and by which measure, in the order in which the page has them."""

AGAINST_OTHERS = {
    ("mask", "mask of other clips", "roc_auc"): "The mask of a clip is {relation} the mean mask of all other clips",
    ("mask contrast", "mask contrast of other clips", "roc_auc"): (
        "The mask's contrast of a clip is {relation} the mean contrast of all other clips"
    ),
    ("mask", "flow", "roc_auc"): "The mask is {relation} the plain magnitude of the flow",
    ("after attention", "before attention", "roc_auc"): "The feature map after attention is {relation} the one before",
    ("weights", "weights of other clips", "rank_correlation"): (
        "The weights of a clip are {relation} the mean weights of all other clips"
    ),
    ("weights", "flow", "rank_correlation"): "The weights are {relation} the plain magnitude of the flow",
}
"""Sentences by what is compared, with what, and by which measure; they follow those above."""


def findings(summary: Summary) -> list[str]:
    """Return every sentence that the numbers allow, conclusions last."""
    return list(map(_typeset, _sentences(summary)))


def _sentences(summary: Summary) -> Iterator[str]:
    for (what, measure), sentence in AGAINST_CHANCE.items():
        if score := _score(summary, what, measure):
            yield sentence.format(relation=_relation(_against_chance(score)), score=_counted(score))
    for (what, than, measure), sentence in AGAINST_OTHERS.items():
        if difference := _difference(summary, what, than, measure):
            yield f"{sentence.format(relation=_relation(_sign(difference)))}{_by(difference)}"
    yield from filter(None, (conclusion(summary) for conclusion in CONCLUSIONS))


def mask_knows_faces_in_general(summary: Summary) -> str | None:
    """Conclude what it means that the mask beats chance, but not the mean mask of other clips."""
    if _beats_chance_alone(summary, "mask", "roc_auc"):
        return "So nothing shows that the mask's mean over channels knows more than where faces move in general."
    return None


def weights_know_faces_in_general(summary: Summary) -> str | None:
    """Conclude what it means that the weights beat chance, but not the mean weights of other clips."""
    if _beats_chance_alone(summary, "weights", "rank_correlation"):
        return "So nothing shows that the weights know more than when faces move in general."
    return None


def channels_cancel(summary: Summary) -> str | None:
    """Conclude what it means that the mask's contrast beats that of other clips, but its mean does not."""
    mean = _difference(summary, "mask", "mask of other clips", "roc_auc")
    contrast = _difference(summary, "mask contrast", "mask contrast of other clips", "roc_auc")
    if mean and contrast and _sign(mean) in ("at", "below") and _sign(contrast) == "above":
        return (
            "What the mask knows of a single clip is in its contrast: where the face moves it raises some channels and "
            "lowers others, which cancel in the mean."
        )
    return None


CONCLUSIONS = (mask_knows_faces_in_general, weights_know_faces_in_general, channels_cancel)
"""What follows from several entries, in the order in which the page has them."""


def _beats_chance_alone(summary: Summary, what: str, measure: str) -> bool:
    """Whether something is better than chance, but not than its mean over other clips."""
    score, difference = _score(summary, what, measure), _difference(summary, what, f"{what} of other clips", measure)
    return bool(score and difference and _against_chance(score) == "above" and _sign(difference) in ("at", "below"))


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
