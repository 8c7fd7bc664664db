"""Table 1: its figures are those of their definitions, and tables that do not belong together are refused."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from pipeline import paths
from pipeline.errors import InputError
from pipeline.evaluation import comparison, metrics, significance
from pipeline.evaluation.comparison import Method
from pipeline.storage import tables

CLASSES = ["disgust", "surprise", "tense"]


def predictions(share, seed, clips=40, subjects=5):
    """About this share of the clips right."""
    truth, rng = np.random.default_rng(0), np.random.default_rng(seed)
    subject = [f"s{number % subjects}" for number in range(clips)]
    label = truth.choice(CLASSES, clips)
    predicted = np.where(rng.uniform(size=clips) < share, label, rng.choice(CLASSES, clips))
    names = [f"{name}/EP{number:02d}" for number, name in enumerate(subject)]
    return pd.DataFrame({"clip": names, "subject": subject, "label": label, "predicted": predicted})


def right(table):
    return (table["label"] == table["predicted"]).to_numpy()


STANET, WEAK, CLOSE = predictions(0.8, 1), predictions(0.1, 2), predictions(0.8, 3)


def table(stanet=(STANET,), others=(("weak", WEAK), ("close", CLOSE))):
    return comparison.compare(
        Method("stanet", stanet, "STANet"), [Method(name, [found], values=7) for name, found in others], CLASSES
    )


def test_a_row_has_the_scores_and_intervals_of_its_predictions():
    row = table().set_index("method").loc["weak"]
    confusion = metrics.confusion_matrix(WEAK["label"], WEAK["predicted"], CLASSES)
    for name, value in metrics.scores(confusion).items():
        assert row[name] == value
    assert (row["correct"], row["clips"], row["subjects"], row["values"]) == (right(WEAK).sum(), 40, 5, 7)
    assert (row["accuracy_low"], row["accuracy_high"]) == significance.wilson_interval(right(WEAK).sum(), 40)
    for name, bounds in significance.bootstrap_intervals(WEAK, CLASSES).items():
        assert (row[f"{name}_subjects_low"], row[f"{name}_subjects_high"]) == bounds


def test_tests_are_against_the_first_row_by_clip_and_by_subject():
    found = table().set_index("method")
    for name, other in (("weak", WEAK), ("close", CLOSE)):
        ours, theirs = right(STANET), right(other)
        won, lost = (theirs & ~ours).sum(), (~theirs & ours).sum()
        assert (found.loc[name, "won"], found.loc[name, "lost"]) == (won, lost)
        expected = reference_mcnemar([[0, won], [lost, 0]], exact=True).pvalue
        assert found.loc[name, "mcnemar_p"] == pytest.approx(expected)
        by_subject = significance.permutation_test(ours, theirs, STANET["subject"])
        assert found.loc[name, "permutation_p"] == by_subject
    for test in ("mcnemar", "permutation"):
        corrected = significance.holm(found[f"{test}_p"].iloc[1:])
        assert list(found[f"{test}_holm"]) == [1.0, *corrected]


def test_no_number_is_missing_but_that_of_a_network():
    found = table()
    assert found.drop(columns="values").notna().all(axis=None) and list(found["values"].isna()) == [True, False, False]


def test_the_order_of_the_rows_of_a_table_is_of_no_consequence():
    shuffled = WEAK.sample(frac=1, random_state=1).assign(p_disgust=0.3)
    pd.testing.assert_frame_equal(table(others=[("weak", shuffled)]), table(others=[("weak", WEAK)]))


def test_several_seeds_have_a_mean_and_a_range_and_the_largest_p():
    other = predictions(0.5, 9)
    found = table(stanet=(STANET, other)).set_index("method")
    shares = [right(each).mean() for each in (STANET, other)]
    row = found.loc["stanet"]
    assert (row["seeds"], row["accuracy"]) == (2, shares[0]) and row["accuracy_mean"] == pytest.approx(np.mean(shares))
    assert (row["accuracy_smallest"], row["accuracy_largest"]) == (min(shares), max(shares))
    expected = max(significance.mcnemar(right(seed), right(WEAK)) for seed in (STANET, other))
    assert found.loc["weak", "mcnemar_p"] == expected > significance.mcnemar(right(STANET), right(WEAK))
    text = comparison.as_text(table(stanet=(STANET, other)))
    assert "STANet stands for 2 seeds" in " ".join(text.split()) and "range" in text


def test_a_single_subject_has_no_interval_over_subjects():
    alone = [each[each["subject"] == "s1"] for each in (STANET, WEAK)]
    found = table(stanet=[alone[0]], others=[("weak", alone[1])])
    assert found["accuracy_subjects_low"].isna().all() and list(found["permutation_p"]) == [1.0, 1.0]
    assert "with 1 subject its smallest two-sided p is 1" in " ".join(comparison.sentences(found))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (WEAK[2:], r"expected the 40 clips of STANet in all tables; weak lacks 2 of them: s0/EP00, s1/EP01"),
        (
            pd.concat([WEAK, WEAK[:1].assign(clip="s9/EP99")]),
            r"weak has 1 others: s9/EP99",
        ),
        (
            WEAK.assign(label=WEAK["label"].where(WEAK["clip"] != "s2/EP02", "happiness")),
            r"the same labels, in all tables; weak differs from STANet in 1 clips, such as s2/EP02: happiness instead",
        ),
        (
            WEAK.assign(subject=WEAK["subject"].replace("s3", "s4")),
            r"the same folds, each of which holds .* in 8 clips, such as s3/EP03: s4 instead of s3",
        ),
        (WEAK.drop(columns="predicted"), r"weak: expected the columns .*; found no predicted"),
        (WEAK[:0], r"weak: expected a row per clip, found none"),
        (pd.concat([WEAK, WEAK[:1]]), r"weak: expected one prediction for every clip; found several for s0/EP00"),
        (WEAK.assign(predicted=WEAK["predicted"].where(WEAK["clip"] != "s1/EP01")), r"none in line 3"),
        (WEAK.assign(predicted="joy"), r"expected predictions of the classes disgust, surprise, tense; found joy"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused_by_what_differs(changed, message):
    with pytest.raises(InputError, match=message):
        table(others=[("weak", changed)])


def test_five_subjects_can_tell_nothing_apart_by_subject_and_that_is_said():
    found = table()
    said = " ".join(comparison.sentences(found))
    assert "with 5 subjects its smallest two-sided p is .0625, so that it can tell no two methods apart at .05" in said
    assert "One clip is 2.50 points." in said and "STANet is one seed" in said
    assert "With the clip as the unit, told apart from STANet at .05 after the correction: weak (worse)." in said
    assert "With the subject as the unit, told apart from STANet at .05 after the correction: none." in said


def test_enough_subjects_for_a_test_may_be_too_few_for_many_rows():
    stanet, other = predictions(0.9, 1, 60, 6), predictions(0.1, 2, 60, 6)
    found = table(stanet=[stanet], others=[(f"m{number}", other) for number in range(3)])
    said = " ".join(comparison.sentences(found))
    assert "its smallest two-sided p is .0312." in said and "because 3 × .0312 is .0938" in said


def test_more_than_twenty_subjects_are_exchanged_at_random_and_equally_every_time():
    stanet, other = predictions(0.9, 1, 66, 22), predictions(0.3, 2, 66, 22)
    found = table(stanet=[stanet], others=[("weak", other)])
    pd.testing.assert_frame_equal(found, table(stanet=[stanet], others=[("weak", other)]))
    said = " ".join(comparison.sentences(found))
    assert "at random (seed 0)" in said and "told apart from STANet at .05 after the correction: weak (worse)" in said


# --- what was published -----------------------------------------------------------------------------------------------

PUBLISHED = tables.read(paths.PUBLISHED)


def test_published_figures_stand_beside_ours_with_their_protocol(tmp_path):
    found = comparison.with_published(
        table(others=[("fdm", WEAK), ("higo", CLOSE), ("mine", CLOSE)]), PUBLISHED, "casme2"
    )
    found.to_csv(tmp_path / "table1.csv", index=False)
    pd.testing.assert_frame_equal(comparison.read(tmp_path / "table1.csv"), found, check_dtype=False)
    rows = found.set_index("method")
    assert rows.loc["higo", "published"] == pytest.approx(0.6721) and rows.loc["higo", "published_clips"] == 247
    assert "magnified" in rows.loc["higo", "published_protocol"]
    assert rows.loc["fdm", "published_source"] == "doi:10.1109/TAFFC.2016.2518162"
    assert pd.isna(rows.loc["mine", "published"]) and rows.loc["mine", "published_protocol"] == ""
    assert list(rows.index) == ["stanet", "fdm", "higo", "mine"]


def test_a_dataset_that_is_not_in_the_paper_has_none():
    found = comparison.with_published(table(), PUBLISHED, "synthetic")
    assert found["published"].isna().all() and (found["published_protocol"] == "").all()


def test_every_published_figure_is_a_whole_share_of_its_clips_and_every_gap_has_a_cause():
    assert list(PUBLISHED.columns) == ["dataset", "method", "accuracy", "clips", "source", "protocol"]
    assert not PUBLISHED.duplicated(["dataset", "method"]).any() and PUBLISHED[["source", "protocol"]].notna().all(
        axis=None
    )
    known = PUBLISHED[PUBLISHED["accuracy"].notna()]
    for row in known.itertuples():
        assert any(f"{100 * right / int(row.clips):.2f}" == row.accuracy for right in range(int(row.clips))), row
    assert PUBLISHED[PUBLISHED["accuracy"].isna()]["protocol"].str.startswith("none").all()
    assert dict(known["dataset"].value_counts()) == {"casme": 5, "casme2": 8, "smic": 8}


@pytest.mark.parametrize(("dataset", "correct"), [("casme", 131), ("casme2", 170), ("smic", 113)])
def test_the_papers_own_figures_are_those_of_its_clips(dataset, correct):
    row = PUBLISHED[(PUBLISHED["dataset"] == dataset) & (PUBLISHED["method"] == "stanet")].iloc[0]
    assert float(row["accuracy"]) == round(100 * correct / int(row["clips"]), 2)


def test_the_two_citations_that_are_swapped_are_said_to_be():
    said = PUBLISHED[PUBLISHED["accuracy"].notna()].set_index(["dataset", "method"])["protocol"]
    assert "[21], which is DiSTLBP-RIP's" in said["casme2", "cnn_lstm"]
    assert "[6], which is CNN+LSTM's" in said["casme2", "distlbp_rip"]


def test_a_method_that_a_study_cannot_have_is_a_row_that_says_why(tmp_path):
    absent = Method("cnn_lstm", [STANET[:0]], "CNN+LSTM", remark="N/A: no apex")
    assert absent.not_applicable and not Method("fdm", [WEAK]).not_applicable
    comparison.with_not_applicable(table(), [absent]).to_csv(tmp_path / "table1.csv", index=False)
    found = comparison.read(tmp_path / "table1.csv")
    assert list(found["method"]) == ["stanet", "weak", "close", "cnn_lstm"]
    assert found["remark"].iloc[3] == "N/A: no apex"
    assert found.iloc[3].drop(["method", "title", "remark"]).isna().all()
    pd.testing.assert_frame_equal(comparison.scored(found), comparison.read(tmp_path / "table1.csv")[:3])
    assert comparison.sentences(found) == comparison.sentences(table())
