"""Sentences follow the numbers, word for word."""

import pytest

from pipeline.report.findings import findings


def entry(mean, low, high, chance=0.5, **more):
    return {"mean": mean, "low": low, "high": high, "chance": chance, "clips": 60, "above_chance": 40} | more


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.6, 0.8, "the mask is better than chance"),
        (0.1, 0.3, "the mask is worse than chance"),
        (0.4, 0.6, "the mask is neither measurably better nor measurably worse than chance"),
    ],
)
def test_findings_follow_the_numbers(low, high, words):
    mask = entry((low + high) / 2, low, high, kind="spatial", what="mask", measure="roc_auc")
    [sentence] = findings({"scores": [mask], "differences": []})
    assert words in sentence and f"{low:.3f} to {high:.3f}" in sentence and "40 of 60 clips" in sentence


@pytest.mark.parametrize(("low", "high", "more"), [(-0.1, 0.1, False), (-0.3, -0.1, False), (0.1, 0.3, True)])
def test_a_mask_that_knows_no_more_than_other_clips_do_is_called_that(low, high, more):
    mask = entry(0.7, 0.6, 0.8, kind="spatial", what="mask", measure="roc_auc")
    than = entry((low + high) / 2, low, high, what="mask", than="mask of other clips", measure="roc_auc")
    sentences = findings({"scores": [mask], "differences": [than]})
    assert (
        any("nothing shows that the mask's mean over channels knows more" in sentence for sentence in sentences) != more
    )


@pytest.mark.parametrize(("mask", "contrast", "said"), [(0.0, 0.2, True), (0.2, 0.2, False), (0.0, 0.0, False)])
def test_a_mask_whose_channels_cancel_is_called_that(mask, contrast, said):
    differences = [
        entry(shift, shift - 0.1, shift + 0.1, what=what, than=f"{what} of other clips", measure="roc_auc")
        for what, shift in (("mask", mask), ("mask contrast", contrast))
    ]
    sentences = findings({"scores": [], "differences": differences})
    assert any("cancel in the mean" in sentence for sentence in sentences) == said


ABOVE, BELOW, AT = (0.6, 0.8), (0.1, 0.3), (0.4, 0.6)
SCORES = [
    ("mask", "roc_auc", ABOVE),
    ("mask", "pointing", BELOW),
    ("mask contrast", "roc_auc", AT),
    ("weights", "rank_correlation", ABOVE),
    ("flow", "roc_auc", ABOVE),
]
DIFFERENCES = [
    ("mask", "mask of other clips", "roc_auc", (-0.1, 0.1)),
    ("mask contrast", "mask contrast of other clips", "roc_auc", (0.1, 0.3)),
    ("mask", "flow", "roc_auc", (-0.3, -0.1)),
    ("after attention", "before attention", "roc_auc", (0.1, 0.3)),
    ("weights", "weights of other clips", "rank_correlation", (-0.3, -0.1)),
    ("weights", "flow", "rank_correlation", (-0.1, 0.1)),
]


def test_every_claim_is_made_in_these_words_and_this_order():
    scores = [entry(0.5, *bounds, what=what, measure=measure) for what, measure, bounds in SCORES]
    differences = [
        entry(sum(bounds) / 2, *bounds, what=what, than=than, measure=measure)
        for what, than, measure, bounds in DIFFERENCES
    ]
    counted = "chance 0.500; 40 of 60 clips above it."
    assert findings({"scores": scores, "differences": differences}) == [
        "As a detector of the moving pixels, the mask is better than chance: area under the ROC curve "
        f"0.500 (95\u00a0% interval 0.600 to 0.800); {counted}",
        "With its maximum, the mask points into the moving region worse than chance: share of hits "
        f"0.500 (95\u00a0% interval 0.100 to 0.300); {counted}",
        "The mask's contrast, its standard deviation over channels, is neither measurably better nor measurably worse "
        f"than chance: area under the ROC curve 0.500 (95\u00a0% interval 0.400 to 0.600); {counted}",
        "At following the motion, the weights are better than chance: rank correlation over time "
        f"0.500 (95\u00a0% interval 0.600 to 0.800); {counted}",
        "The mask of a clip is neither measurably better nor measurably worse than the mean mask of all other clips: "
        "difference +0.000 (95\u00a0% interval −0.100 to +0.100).",
        "The mask's contrast of a clip is better than the mean contrast of all other clips: "
        "difference +0.200 (95\u00a0% interval +0.100 to +0.300).",
        "The mask is worse than the plain magnitude of the flow: "
        "difference −0.200 (95\u00a0% interval −0.300 to −0.100).",
        "The feature map after attention is better than the one before: "
        "difference +0.200 (95\u00a0% interval +0.100 to +0.300).",
        "The weights of a clip are worse than the mean weights of all other clips: "
        "difference −0.200 (95\u00a0% interval −0.300 to −0.100).",
        "The weights are neither measurably better nor measurably worse than the plain magnitude of the flow: "
        "difference +0.000 (95\u00a0% interval −0.100 to +0.100).",
        "So nothing shows that the mask's mean over channels knows more than where faces move in general.",
        "So nothing shows that the weights know more than when faces move in general.",
        "What the mask knows of a single clip is in its contrast: where the face moves it raises some channels and "
        "lowers others, which cancel in the mean.",
    ]


def test_with_a_single_subject_the_mean_stands_alone():
    mask = {"what": "mask", "measure": "roc_auc", "mean": 0.7, "chance": 0.5, "clips": 6, "above_chance": 4}
    assert findings({"scores": [mask], "differences": []}) == [
        "As a detector of the moving pixels, the mask is (a single subject allows no interval) compared with chance: "
        "area under the ROC curve 0.700; chance 0.500; 4 of 6 clips above it."
    ]


def test_where_nothing_was_scored_nothing_is_said():
    assert findings({"scores": [], "differences": []}) == []
