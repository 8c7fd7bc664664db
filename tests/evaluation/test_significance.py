"""Intervals and tests against worked examples of the literature, statsmodels and a slow bootstrap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipeline.evaluation import metrics, significance

CLASSES = ["disgust", "happiness", "others"]


# Newcombe 1998, table I, method 3.
@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_examples_of_newcombe(correct, total, low, high):
    assert significance.wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_that_of_statsmodels(total, data, confidence):
    correct = data.draw(st.integers(0, total))
    expected = proportion_confint(correct, total, alpha=1 - confidence, method="wilson")
    assert significance.wilson_interval(correct, total, confidence) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match=f"got {correct} of {total}"):
        significance.wilson_interval(correct, total)


def paired(both, first_only, second_only, neither):
    """Two arrays with these numbers of clips that both, one or none of them has right."""
    first = [True] * both + [True] * first_only + [False] * second_only + [False] * neither
    second = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return np.array(first), np.array(second)


def test_mcnemar_gives_the_example_of_exact2x2():
    """M. P. Fay, Exact McNemar's test and matching confidence intervals, vignette of the R package: p = 0.06543."""
    assert significance.mcnemar(*paired(21, 9, 2, 12)) == pytest.approx(0.06543, abs=5e-6)


def test_mcnemar_of_three_clips_is_far_from_significant():
    """A step of the paper's table 2 is 3 of 171 clips; at best all three go one way."""
    assert significance.mcnemar(*paired(122, 0, 3, 46)) == 2 * 0.5**3


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_mcnemar_is_that_of_statsmodels_both_ways(both, first_only, second_only, neither):
    first, second = paired(both, first_only, second_only, neither)
    p = significance.mcnemar(first, second)
    assert p == significance.mcnemar(second, first)
    if first_only + second_only:
        table = [[both, first_only], [second_only, neither]]
        assert p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    else:
        assert p == 1


def test_mcnemar_needs_the_same_clips():
    with pytest.raises(ValueError, match="same clips"):
        significance.mcnemar([True, False], [True])
    with pytest.raises(ValueError, match="no clips"):
        significance.mcnemar([], [])


def study(subjects=8, clips=6, seed=3, per_subject=False):
    """Predictions that are right in two of three cases; `per_subject`: for all clips of a subject, or none."""
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, subjects * clips)
    right = np.repeat(rng.random(subjects) < 0.66, clips) if per_subject else rng.random(len(label)) < 0.66
    wrong = [CLASSES[(CLASSES.index(name) + 1) % 3] for name in label]
    return pd.DataFrame(
        {
            "subject": np.repeat([f"sub{number:02d}" for number in range(subjects)], clips),
            "label": label,
            "predicted": np.where(right, label, wrong),
        }
    )


def test_bootstrap_is_that_of_resampled_tables():
    """The slow way: tables of the drawn subjects, scored like any other."""
    predictions = study()
    names = sorted(predictions["subject"].unique())
    draws = np.random.default_rng(5).integers(len(names), size=(200, len(names)))
    scores = []
    for draw in draws:
        table = pd.concat([predictions[predictions["subject"] == names[subject]] for subject in draw])
        scores.append(metrics.scores(metrics.confusion_matrix(table["label"], table["predicted"], CLASSES)))
    intervals = significance.bootstrap_intervals(predictions, CLASSES, seed=5, resamples=200, confidence=0.9)
    assert list(intervals) == ["accuracy", "uf1", "uar"]
    for name, interval in intervals.items():
        assert interval == pytest.approx(tuple(np.quantile([score[name] for score in scores], [0.05, 0.95])))


def test_a_metric_of_the_table_has_an_interval(monkeypatch):
    def balance(confusion):
        return 2 * metrics.accuracy(confusion) - 1

    monkeypatch.setitem(metrics.METRICS, "balance", metrics.Metric("Balance", balance))
    intervals = significance.bootstrap_intervals(study(), CLASSES)
    assert list(intervals) == ["accuracy", "uf1", "uar", "balance"]
    assert intervals["balance"] == pytest.approx([2 * bound - 1 for bound in intervals["accuracy"]])


def test_bootstrap_hangs_on_the_seed_alone_and_not_on_the_order_of_the_rows():
    predictions = study()
    first = significance.bootstrap_intervals(predictions, CLASSES)
    assert significance.bootstrap_intervals(predictions.sample(frac=1, random_state=1), CLASSES) == first
    assert significance.bootstrap_intervals(predictions, CLASSES, seed=1) != first


def test_bootstrap_is_wider_than_wilson_where_subjects_differ():
    """With subjects that are right or wrong as a whole there are 8 independent draws, not 48."""
    predictions = study(per_subject=True)
    low, high = significance.bootstrap_intervals(predictions, CLASSES)["accuracy"]
    correct = int((predictions["label"] == predictions["predicted"]).sum())
    wilson = significance.wilson_interval(correct, len(predictions))
    assert high - low > 1.5 * (wilson[1] - wilson[0])


def test_bootstrap_needs_clips_of_two_subjects_and_known_classes():
    predictions = study()
    with pytest.raises(ValueError, match="no predictions"):
        significance.bootstrap_intervals(predictions[:0], CLASSES)
    with pytest.raises(ValueError, match="at least 2 subjects"):
        significance.bootstrap_intervals(predictions[predictions["subject"] == "sub00"], CLASSES)
    with pytest.raises(ValueError, match="others"):
        significance.bootstrap_intervals(predictions, CLASSES[:2])
    with pytest.raises(ValueError, match="resample"):
        significance.bootstrap_intervals(predictions, CLASSES, resamples=0)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_is_a_fraction(confidence):
    with pytest.raises(ValueError, match="confidence"):
        significance.wilson_interval(1, 2, confidence)
    with pytest.raises(ValueError, match="confidence"):
        significance.bootstrap_intervals(study(), CLASSES, confidence=confidence)


def test_the_interval_of_a_mean_is_that_of_the_accuracy_when_the_values_are_right_or_wrong():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"subject": rng.choice(["a", "b", "c", "d"], 40), "label": rng.choice(["x", "y"], 40)})
    table["predicted"] = rng.choice(["x", "y"], 40)
    correct = table["label"] == table["predicted"]
    expected = significance.bootstrap_intervals(table, ["x", "y"])["accuracy"]
    assert significance.mean_interval(correct, table["subject"]) == pytest.approx(expected)


def test_the_interval_of_a_mean_needs_two_subjects():
    with pytest.raises(ValueError, match="at least 2 subjects, got 1"):
        significance.mean_interval([0.1, 0.2], ["a", "a"])


def of_subjects(subjects, seed=0, clips=6):
    """Whether clips are right in two experiments, the second of which is better for most subjects."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{number:02d}" for number in range(subjects)], clips)
    return rng.uniform(size=len(names)) < 0.4, rng.uniform(size=len(names)) < 0.7, names


@pytest.mark.parametrize("subjects", [2, 5, 9])
def test_the_permutation_test_is_that_of_all_exchanges_of_whole_subjects(subjects):
    first, second, names = of_subjects(subjects)
    differences = [int(second[names == name].sum()) - int(first[names == name].sum()) for name in np.unique(names)]
    expected = permutation_test(
        (np.array(differences),),
        lambda values, axis=-1: values.sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    assert significance.permutation_test(first, second, names) == pytest.approx(expected)


def test_clips_of_a_subject_are_exchanged_together():
    names = np.repeat(["a", "b", "c", "d", "e"], 20)
    first, second = np.zeros(100, bool), np.ones(100, bool)
    assert significance.permutation_test(first, second, names) == 2 / 2**5 == significance.smallest_permutation_p(5)
    assert significance.mcnemar(first, second) < 1e-20  # which takes them for a hundred independent clips


def test_above_twenty_subjects_exchanges_are_drawn_at_random():
    first, second, names = of_subjects(21, seed=1, clips=2)
    found = significance.permutation_test(first, second, names)
    assert found == significance.permutation_test(first, second, names)
    assert found != significance.permutation_test(first, second, names, seed=1)
    merged = np.where(names == "s20", "s19", names)  # 20 subjects: all exchanges
    assert found == pytest.approx(significance.permutation_test(first, second, merged), abs=0.02)
    everything = np.zeros(42, bool), np.ones(42, bool), names
    assert significance.permutation_test(*everything) == significance.smallest_permutation_p(21) == 1 / 100_001


def test_equal_experiments_and_a_single_subject_are_never_told_apart():
    first, second, names = of_subjects(5)
    assert significance.permutation_test(first, first, names) == 1
    assert significance.permutation_test(first, second, ["a"] * len(names)) == 1
    assert significance.smallest_permutation_p(1) == 1


def test_the_permutation_test_needs_the_same_clips():
    with pytest.raises(ValueError, match="expected the same clips"):
        significance.permutation_test([True, False], [True], ["a", "a"])
    with pytest.raises(ValueError, match="expected the same clips"):
        significance.permutation_test([True], [True], ["a", "a"])
    with pytest.raises(ValueError, match="no clips"):
        significance.permutation_test([], [], [])


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.6], [0.02], [0.01, 0.01, 0.9], []])
def test_holm_is_that_of_statsmodels(p):
    expected = multipletests(p, method="holm")[1] if p else []
    assert significance.holm(p) == pytest.approx(list(expected))
