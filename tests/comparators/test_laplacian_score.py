"""The Laplacian score by its definition, and the features that it keeps."""

import numpy as np
import pytest
from sklearn.feature_selection import f_classif

from pipeline import comparators
from pipeline.comparators.learnt import classifier, laplacian_score


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    labels = np.repeat(["anger", "joy", "fear"], [9, 6, 5])
    features = rng.normal(size=(20, 30))
    features[:, ::3] += np.arange(10) * 0.5 * (labels == "joy")[:, None]
    return features, labels


def test_it_is_the_sum_over_edges_by_the_weighted_variance(clips):
    features, _ = clips
    rng = np.random.default_rng(1)
    similarity = rng.uniform(size=(20, 20))
    similarity += similarity.T
    degree = similarity.sum(axis=1)
    found = laplacian_score.scores(features, similarity)
    for number in range(0, 30, 7):
        f = features[:, number]
        edges = sum(similarity[i, j] * (f[i] - f[j]) ** 2 for i in range(20) for j in range(20)) / 2
        variance = np.average((f - np.average(f, weights=degree)) ** 2, weights=degree) * degree.sum()
        np.testing.assert_allclose(found[number], edges / variance)


def test_on_the_graph_of_classes_it_orders_like_the_fisher_score(clips):
    features, labels = clips
    found = laplacian_score.scores(features, laplacian_score.same_class(labels))
    np.testing.assert_array_equal(np.argsort(found), np.argsort(-f_classif(features, labels)[0]))
    assert found.min() >= 0 and found.max() <= 1


def test_scale_and_offset_of_a_feature_do_not_matter(clips):
    features, labels = clips
    graph = laplacian_score.same_class(labels)
    np.testing.assert_allclose(
        laplacian_score.scores(features * 7 + 3, graph), laplacian_score.scores(features, graph), rtol=1e-9
    )


def test_constant_features_come_last_and_equal_ones_in_order(clips):
    features, labels = clips
    features[:, :5] = 0.3
    features[:, 11] = features[:, 12]
    scores = laplacian_score.scores(features, laplacian_score.same_class(labels))
    assert np.isinf(scores[:5]).all() and np.isfinite(scores[5:]).all()
    assert set(laplacian_score.select(features, labels, 25 / 30)) == set(range(5, 30))
    best = np.repeat(features[:, 27:28], 6, axis=1)
    np.testing.assert_array_equal(laplacian_score.select(best, labels, 0.5), [0, 1, 2])


def test_a_share_is_kept_and_at_least_one(clips):
    features, labels = clips
    assert len(laplacian_score.select(features, labels, 0.1)) == 3
    assert laplacian_score.select(features, labels, 0.0).tolist() == [27]
    np.testing.assert_array_equal(laplacian_score.select(features, labels, 1.0), np.arange(30))


def test_distlbp_rip_chooses_in_the_fold():
    rng = np.random.default_rng(2)
    labels = np.tile(["joy", "fear"], 16)
    subjects = np.repeat(["s1", "s2", "s3", "s4"], 8)
    features, test = rng.normal(size=(32, 30)), rng.normal(size=(60, 30))
    features[labels == "joy", ::3] += np.arange(10) / 6
    predicted = []
    for kept in (0.1, 0.5):
        chosen = laplacian_score.select(features, labels, kept)
        predicted.append(comparators.classify("distlbp_rip", features, labels, subjects, test, kept=kept))
        expected = classifier.classify(features[:, chosen], labels, subjects, test[:, chosen])
        np.testing.assert_array_equal(predicted[-1], expected)
    assert (predicted[0] != predicted[1]).any()
