"""Scores against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score, recall_score

from pipeline.evaluation import metrics

CLASSES = ["disgust", "happiness", "others", "repression"]


def random_labels(seed, used):
    rng = np.random.default_rng(seed)
    actual = rng.choice(used, 60)
    predicted = np.where(rng.random(60) < 0.5, actual, rng.choice(CLASSES, 60))
    return actual, predicted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("used", [CLASSES, CLASSES[:3], CLASSES[1:3]])
def test_scores_are_those_of_scikit_learn(seed, used):
    actual, predicted = random_labels(seed, used)
    confusion = metrics.confusion_matrix(actual, predicted, CLASSES)
    np.testing.assert_array_equal(confusion, confusion_matrix(actual, predicted, labels=CLASSES))
    present = sorted(set(actual))
    assert metrics.scores(confusion) == pytest.approx(
        {
            "accuracy": accuracy_score(actual, predicted),
            "uf1": f1_score(actual, predicted, labels=present, average="macro"),
            "uar": recall_score(actual, predicted, labels=present, average="macro"),
        },
        rel=1e-12,
    )


def kappa(confusion):
    """Cohen's kappa, a metric that the project does not have."""
    total = confusion.sum()
    chance = (confusion.sum(axis=0) * confusion.sum(axis=1)).sum() / total**2
    return float((np.trace(confusion) / total - chance) / (1 - chance))


def test_a_metric_is_scored_once_it_is_in_the_table(monkeypatch):
    actual, predicted = random_labels(0, CLASSES)
    confusion = metrics.confusion_matrix(actual, predicted, CLASSES)
    before = metrics.scores(confusion)
    monkeypatch.setitem(metrics.METRICS, "kappa", metrics.Metric("Kappa", kappa))
    expected = {"kappa": pytest.approx(cohen_kappa_score(actual, predicted))}
    assert metrics.scores(confusion) == before | expected
    assert list(metrics.scores(confusion)) == ["accuracy", "uf1", "uar", "kappa"]


def test_a_class_without_samples_is_left_out_even_when_it_was_predicted():
    confusion = metrics.confusion_matrix(["a", "a"], ["a", "b"], ["a", "b"])
    assert metrics.scores(confusion) == {"accuracy": 0.5, "uf1": pytest.approx(2 / 3), "uar": 0.5}


def test_the_accuracy_of_the_paper_is_an_exact_fraction():
    confusion = np.diag([131, 0]) + np.array([[0, 40], [0, 0]])
    assert metrics.scores(confusion)["accuracy"] == 131 / 171


def test_a_label_that_is_no_class_is_an_error():
    with pytest.raises(ValueError, match="joy"):
        metrics.confusion_matrix(["disgust"], ["joy"], CLASSES)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        metrics.scores(np.zeros((3, 3), int))


def test_accuracy_per_subject():
    predictions = pd.DataFrame(
        {"subject": ["sub02", "sub01", "sub02"], "label": ["a", "a", "b"], "predicted": ["a", "b", "b"]}
    )
    assert metrics.per_subject(predictions).to_csv(index=False).splitlines() == [
        "subject,clips,correct,accuracy",
        "sub01,1,0,0.0",
        "sub02,2,2,1.0",
    ]


def test_the_parts_of_a_composite_are_the_same_predictions_without_the_others():
    table = pd.DataFrame(
        {
            "label": ["negative", "negative", "positive", "surprise", "negative"],
            "predicted": ["negative", "positive", "positive", "surprise", "surprise"],
        }
    )
    databases = pd.Series(["smic", "casme2", "smic", "casme2", "casme2"], index=[9, 8, 7, 6, 5])
    parts = metrics.per_part(table, databases, ["negative", "positive", "surprise"])
    assert list(parts.columns) == ["part", "clips", "accuracy", "uf1", "uar"]
    assert parts[["part", "clips"]].values.tolist() == [["full", 5], ["casme2", 3], ["smic", 2]]
    casme2 = parts.iloc[1]
    assert casme2["accuracy"] == pytest.approx(1 / 3)
    assert casme2["uf1"] == pytest.approx((0 + 2 / 3) / 2)  # without positive, of which it has no clip
    assert parts.iloc[2]["uar"] == 1
    one = metrics.per_part(table, pd.Series(["smic"] * 5), ["negative", "positive", "surprise"])
    assert one["part"].tolist() == ["full"] and one.iloc[0, 1:].tolist() == parts.iloc[0, 1:].tolist()
