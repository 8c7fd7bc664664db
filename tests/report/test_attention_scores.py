"""Scores of attention: known answers, chance, and what they say when there is nothing to score."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.networks.stanet.introspection import Attention, Grid
from pipeline.report import attention_scores
from pipeline.synthetic.truth import Truth

GRID = Grid(size=40, crop=32, first=3.0, step=8)
RNG = np.random.default_rng(0)


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    for decimals in (6, 1):  # with ties, too
        field = RNG.uniform(size=(12, 12)).round(decimals)
        region = RNG.uniform(size=(12, 12)) < 0.3
        assert attention_scores.roc_auc(field, region) == pytest.approx(roc_auc_score(region.ravel(), field.ravel()))


def test_pixels_without_a_value_do_not_count():
    field, region = RNG.uniform(size=(12, 12)), RNG.uniform(size=(12, 12)) < 0.3
    expected = attention_scores.roc_auc(field[:, :8], region[:, :8])
    field[:, 8:] = np.nan
    assert attention_scores.roc_auc(field, region) == pytest.approx(expected)
    field[:, :8] = 0
    assert attention_scores.roc_auc(field, region) == 0.5
    assert attention_scores.pointing(field, region) == pytest.approx(region[:, :8].mean())


@pytest.mark.parametrize("region", [np.zeros((4, 4), bool), np.ones((4, 4), bool)])
def test_without_two_kinds_of_pixels_there_is_no_curve(region):
    assert np.isnan(attention_scores.roc_auc(RNG.uniform(size=(4, 4)), region))


def test_pointing_is_a_hit_or_a_miss_and_shared_on_a_plateau():
    field, region = np.zeros((4, 4)), np.zeros((4, 4), bool)
    region[1, 1] = True
    field[1, 1] = 1
    assert attention_scores.pointing(field, region) == 1
    field[2, 2] = 2
    assert attention_scores.pointing(field, region) == 0
    field[1, 1] = 2
    assert attention_scores.pointing(field, region) == 0.5


def test_rank_correlation_knows_order_only_and_nothing_of_a_constant():
    energy = np.array([1.0, 2, 3, 10])
    assert attention_scores.rank_correlation(np.array([0.1, 0.2, 0.3, 0.4]), energy) == pytest.approx(1)
    assert attention_scores.rank_correlation(np.array([0.4, 0.3, 0.2, 0.1]), energy) == pytest.approx(-1)
    assert np.isnan(attention_scores.rank_correlation(np.full(4, 0.25), energy))


def test_energy_leaves_out_what_the_whole_head_does():
    flow = np.zeros((2, 2, 8, 8))
    flow[:, 0] = 5.0  # the head moves right
    assert not attention_scores.motion_energy(flow).any()
    flow[1, 1, :2, :2] = 3.0  # and a sixteenth of the face moves down, once
    np.testing.assert_allclose(attention_scores.motion_energy(flow), [0, 3 / 4])


def test_others_are_all_but_the_clip_itself():
    fields = [np.full((2, 2), value) for value in (1.0, 2.0, 6.0)]
    assert [field[0, 0] for field in attention_scores.others(fields)] == [4.0, 3.5, 1.5]
    with pytest.raises(ValueError, match="at least 2"):
        attention_scores.others(fields[:1])


def test_spread_of_even_and_of_extreme_weights():
    even = attention_scores.spread([np.full(19, 1 / 19)] * 3)
    assert even["median"] == even["largest"] == pytest.approx(1 / 19) and even["frames"] == pytest.approx(19)
    single = attention_scores.spread([np.eye(19)[4]])
    assert single["largest"] == 1 and single["frames"] == pytest.approx(1) and single["median"] == 0


def study(mask_follows: bool, clips: int = 12):
    """Clips whose mask and weights follow the motion and whose contrast is noise, or the other way round.

    The flow is the motion plus the head's.
    """
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"clip": [f"c{n:02d}" for n in range(clips)], "subject": [f"s{n % 4}" for n in range(clips)]})
    attention, flow, truth = {}, {}, {}
    for clip in table["clip"]:
        row, column = rng.integers(0, 3, 2)
        coarse = np.zeros((4, 4), np.float32)
        coarse[row : row + 2, column : column + 2] = 1
        region = np.nan_to_num(GRID.over_frame(coarse)) > 0.5
        energy = rng.uniform(0.1, 1, 6)
        flow[clip] = np.zeros((6, 2, 40, 40), np.float16)
        flow[clip][:, 0] = energy[:, None, None] * region
        flow[clip] += rng.normal(size=(6, 2, 1, 1)).astype(np.float16)
        mask, contrast = np.stack([coarse] * 6), rng.uniform(size=(6, 4, 4))
        if not mask_follows:
            mask, contrast = contrast, mask
        weights = energy / energy.sum() if mask_follows else rng.dirichlet(np.ones(6))
        attention[clip] = Attention(np.ones(2) / 2, mask, mask.astype(np.float32), mask, weights, GRID, contrast)
        truth[clip] = Truth(region, energy)
    return table, attention, flow.__getitem__, truth


def entry(summary, what, measure):
    [found] = [e for e in summary["scores"] if (e["what"], e["measure"]) == (what, measure)]
    return found


def test_attention_that_follows_the_motion_scores_high_and_above_what_other_clips_know():
    summary = attention_scores.summarise(attention_scores.score(*study(mask_follows=True)))
    for what, measure, least in (
        ("mask", "roc_auc", 0.99),
        ("mask", "pointing", 0.99),
        ("weights", "rank_correlation", 0.99),
        ("flow without head motion", "roc_auc", 0.99),
        ("flow without head motion", "rank_correlation", 0.99),
    ):
        found = entry(summary, what, measure)
        assert found["mean"] > least and attention_scores.verdict(found, found["chance"]) == "above"
        assert found["clips"] == 12 and found["above_chance"] == 12
    differences = {(e["what"], e["than"], e["measure"]): e for e in summary["differences"]}
    assert attention_scores.verdict(differences["mask", "mask of other clips", "roc_auc"], 0) == "above"
    assert attention_scores.verdict(differences["weights", "weights of other clips", "rank_correlation"], 0) == "above"
    # The head's motion drowns the plain flow.
    assert entry(summary, "flow", "rank_correlation")["mean"] < 0.7


@pytest.mark.parametrize("mask_follows", [False, True])
def test_the_contrast_is_scored_by_itself(mask_follows):
    summary = attention_scores.summarise(attention_scores.score(*study(mask_follows)))
    contrast, mask = (entry(summary, what, "roc_auc")["mean"] for what in ("mask contrast", "mask"))
    assert (min if mask_follows else max)(contrast, mask) == contrast
    assert max(contrast, mask) > 0.99 and min(contrast, mask) < 0.7


def test_a_mask_that_is_out_of_register_scores_lower():
    table, attention, flow, truth = study(mask_follows=True)
    shifted = {
        clip: shown._replace(grid=Grid(size=40, crop=32, first=11.0, step=8)) for clip, shown in attention.items()
    }
    right, wrong = (
        attention_scores.summarise(attention_scores.score(table, maps, flow, truth)) for maps in (attention, shifted)
    )
    assert entry(wrong, "mask", "roc_auc")["mean"] < entry(right, "mask", "roc_auc")["mean"] - 0.1


def test_noise_is_at_chance():
    summary = attention_scores.summarise(attention_scores.score(*study(mask_follows=False, clips=80)))
    for what, measure in (("mask", "roc_auc"), ("mask", "pointing"), ("weights", "rank_correlation")):
        found = entry(summary, what, measure)
        assert abs(found["mean"] - found["chance"]) < 0.1


def test_chance_of_the_pointing_game_is_the_share_of_the_crop():
    table, attention, flow, truth = study(mask_follows=True)
    scores = attention_scores.score(table, attention, flow, truth)
    found = scores[(scores["what"] == "mask") & (scores["measure"] == "pointing")].set_index("clip")["chance"]
    for clip in table["clip"]:
        assert found[clip] == pytest.approx(truth[clip].region[4:36, 4:36].mean())


def test_a_clip_that_moves_nowhere_is_left_out_of_the_means_and_counted():
    table, attention, flow, truth = study(mask_follows=True)
    truth["c03"] = Truth(np.zeros((40, 40), bool), np.zeros(6))
    scores = attention_scores.score(table, attention, flow, truth)
    assert scores[scores["clip"] == "c03"]["value"].isna().all()
    summary = attention_scores.summarise(scores)
    assert {e["clips"] for e in summary["scores"]} == {11} and entry(summary, "mask", "roc_auc")["mean"] > 0.99


def test_without_branches_only_what_there_is_is_scored():
    table, attention, flow, truth = study(mask_follows=True)
    plain = {clip: shown._replace(mask=None, contrast=None, weights=None) for clip, shown in attention.items()}
    scores = attention_scores.score(table, plain, flow, truth)
    assert set(scores["what"]) == {"before attention", "flow", "flow without head motion"}
    assert attention_scores.summarise(scores)["differences"] == []


def test_one_subject_has_no_interval_and_one_clip_no_others():
    table, attention, flow, truth = study(mask_follows=True)
    summary = attention_scores.summarise(attention_scores.score(table[:1], attention, flow, truth))
    found = entry(summary, "mask", "roc_auc")
    assert "low" not in found and attention_scores.verdict(found, 0.5) == "unknown"
    assert "mask of other clips" not in {e["what"] for e in summary["scores"]}


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.6, 0.8, "above"), (0.2, 0.4, "below"), (0.4, 0.6, "at"), (0.5, 0.7, "at")]
)
def test_the_verdict_is_that_of_the_interval(low, high, expected):
    assert attention_scores.verdict({"mean": (low + high) / 2, "low": low, "high": high}, 0.5) == expected
