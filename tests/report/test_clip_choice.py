"""The clips that are drawn: chosen, typical, or mistaken."""

from pipeline.report import clip_choice
from tests.report.studies import CLASSES, study


def test_a_typical_clip_has_the_median_probability_of_its_class():
    made = study()
    for label in CLASSES:
        clips = made.predictions[made.predictions["label"] == label]
        own = clips[f"p_{label}"]
        [typical] = clips["clip"][own == own.sort_values().iloc[(len(own) - 1) // 2]]
        assert len(own) > 3 and typical in clip_choice.to_draw(made)
    assert len(clip_choice.to_draw(made)) == 3


def test_chosen_clips_come_first_and_none_comes_twice():
    [first, second, third] = clip_choice.typical(study())
    chosen = ["sub01/EP000", second]
    assert clip_choice.to_draw(study(report={"clips": chosen})) == [*chosen, first, third]


def test_mistakes_are_the_wrong_clips_most_confident_first():
    made = study()
    found = clip_choice.mistakes(made.predictions)
    wrong = made.predictions[made.predictions["label"] != made.predictions["predicted"]]
    assert set(found["clip"]) == set(wrong["clip"]) and found["confidence"].is_monotonic_decreasing
    assert list(found["confidence"]) == [row[f"p_{row['predicted']}"] for _, row in found.iterrows()]
