"""Kernelised group sparse learning: closed forms, conditions of the minimum, and which groups it uses."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import chi2_kernel

from pipeline.comparators.learnt import group_sparse_learning as kgsl


@pytest.fixture
def problem():
    """Kernels (5, 12, 12) that are positive definite, and centred targets (12, 3)."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(5, 12, 15))
    kernels = factors @ factors.transpose(0, 2, 1) / 15
    targets = np.eye(3)[rng.integers(3, size=12)]
    return kernels, targets - targets.mean(axis=0)


def objective(kernels, targets, regressors, penalty):
    residual = targets - (kernels @ regressors).sum(axis=0)
    return (residual**2).sum() + penalty * np.linalg.norm(regressors, axis=(1, 2)).sum()


def test_nothing_is_left_at_the_largest_penalty_and_something_just_below(problem):
    kernels, targets = problem
    largest = kgsl.largest_penalty(kernels, targets)
    assert largest == pytest.approx(2 * max(np.linalg.norm(kernel @ targets) for kernel in kernels))
    for penalty in (largest, 1.5 * largest):
        assert (kgsl.fit(kernels, targets, penalty).regressors(kernels) == 0).all()
    below = kgsl.fit(kernels, targets, 0.99 * largest).weights
    assert (below > 0).sum() == 1 and below.argmax() == np.linalg.norm(kernels @ targets, axis=(1, 2)).argmax()


def test_one_group_without_penalty_is_least_squares(problem):
    kernels, targets = problem
    found = kgsl.fit(kernels[:1], targets, 1e-6, tolerance=1e-9).regressors(kernels[:1])[0]
    np.testing.assert_allclose(found, np.linalg.solve(kernels[0], targets), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("joining", [1, 2, 10])
@pytest.mark.parametrize("share", [0.7, 0.3, 0.05])
def test_the_conditions_of_the_minimum_hold(problem, share, joining, monkeypatch):
    """However many groups join the minimisation at a time."""
    monkeypatch.setattr(kgsl, "JOINING", joining)
    kernels, targets = problem
    penalty = share * kgsl.largest_penalty(kernels, targets)
    regressors = kgsl.fit(kernels, targets, penalty, tolerance=1e-8).regressors(kernels)
    residual = targets - (kernels @ regressors).sum(axis=0)
    for kernel, regressor in zip(kernels, regressors, strict=True):
        gradient, length = 2 * kernel.T @ residual, np.linalg.norm(regressor)
        if length > 0:
            np.testing.assert_allclose(gradient, penalty * regressor / length, atol=1e-4 * penalty)
        else:
            assert np.linalg.norm(gradient) <= penalty * (1 + 1e-6)


def test_no_other_regressors_are_better(problem):
    kernels, targets = problem
    penalty = 0.2 * kgsl.largest_penalty(kernels, targets)
    best = kgsl.fit(kernels, targets, penalty, tolerance=1e-8).regressors(kernels)
    least = objective(kernels, targets, best, penalty)
    # Proximal gradient steps on the problem as it is written, from zero, come to the same.
    regressors = np.zeros_like(best)
    step = 1 / (2 * np.linalg.eigvalsh(sum(kernel @ kernel for kernel in kernels))[-1])
    for _ in range(4000):
        residual = targets - (kernels @ regressors).sum(axis=0)
        moved = regressors + 2 * step * kernels @ residual
        length = np.linalg.norm(moved, axis=(1, 2), keepdims=True)
        regressors = moved * np.maximum(1 - step * penalty / np.maximum(length, 1e-30), 0)
    assert least <= objective(kernels, targets, regressors, penalty) * (1 + 1e-9)
    np.testing.assert_allclose(best, regressors, atol=1e-3)


def test_where_it_starts_does_not_matter(problem):
    kernels, targets = problem
    penalty = 0.3 * kgsl.largest_penalty(kernels, targets)
    cold = kgsl.fit(kernels, targets, penalty, tolerance=1e-8).weights
    warm = kgsl.fit(kernels, targets, penalty, start=np.full(5, 2.0), tolerance=1e-8).weights
    np.testing.assert_allclose(warm, cold, atol=1e-5)


def test_kernels_are_centred_chi_square_of_unit_mean_diagonal():
    rng = np.random.default_rng(1)
    features, test = rng.dirichlet(np.ones(6), (10, 2)), rng.dirichlet(np.ones(6), (4, 2))
    features[:, :, 0] = test[:, :, 0] = 0  # an empty bin
    train, between = kgsl.kernels(features, test)
    assert train.shape == (2, 10, 10) and between.shape == (2, 4, 10)
    np.testing.assert_allclose(train.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.trace(train, axis1=1, axis2=2), 10)
    assert np.linalg.eigvalsh(train).min() > -1e-9
    # By Σ 2 x y / (x + y), centred by the mean of the training clips, for training and test clips alike.
    for group in range(2):
        every = np.concatenate([features, test])[:, group, 1:]
        plain = (2 * every[:, None] * every / (every[:, None] + every)).sum(axis=-1)
        mean = plain[:10].mean(axis=0)
        centred = plain - mean - mean[:, None] + plain[:10, :10].mean()
        scale = np.trace(centred[:10, :10]) / 10
        np.testing.assert_allclose(train[group], centred[:10, :10] / scale, atol=1e-9)
        np.testing.assert_allclose(between[group], centred[10:, :10] / scale, atol=1e-9)
    # The kernel that scikit-learn calls chi2 is its exponential; the two grow together.
    assert np.corrcoef(train[0].ravel(), chi2_kernel(features[:, 0]).ravel())[0, 1] > 0.5


def histograms(clips=48, seed=0):
    """Features (N, 4, 8) of which the groups 1 and 2 tell three classes apart."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(clips) % 3
    features = rng.dirichlet(np.full(8, 2.0), (clips, 4))
    for group in (1, 2):
        features[:, group] = 0.6 * features[:, group] + 0.4 * rng.dirichlet(np.ones(8), 3)[numbers]
    return features, np.array(["anger", "joy", "fear"])[numbers], np.repeat([f"s{n}" for n in range(6)], clips // 6)


def test_it_learns_from_groups_that_tell_and_leaves_the_others_out():
    features, labels, subjects = histograms()
    predicted = kgsl.classify(features[:40], labels[:40], subjects[:40], features[40:])
    assert (predicted == labels[40:]).mean() > 0.8
    kernels, _ = kgsl.kernels(features, features)
    targets = np.eye(3)[np.unique(labels, return_inverse=True)[1]]
    targets = targets - targets.mean(axis=0)
    weights = kgsl.fit(kernels, targets, 0.5 * kgsl.largest_penalty(kernels, targets)).weights
    assert (weights[[1, 2]] > 0).all() and (weights[[0, 3]] == 0).all()


def test_the_penalty_is_the_one_with_most_training_clips_right(monkeypatch):
    # Five training subjects with as many clips each: five folds hold one of them out in turn.
    features, labels, subjects = histograms(seed=2)
    features, labels, subjects, test = features[:40], labels[:40], subjects[:40], features[40:]
    train, _ = kgsl.kernels(features, test)
    right = np.zeros(len(kgsl.SHARES))
    for subject in np.unique(subjects):
        out, rest = subjects == subject, subjects != subject
        between = train[:, out][:, :, rest]
        path = kgsl._predict(train[:, rest][:, :, rest], labels[rest], between, kgsl.SHARES, "none")
        right += (path == labels[out]).sum(axis=1)
    calls, plain = [], kgsl._predict
    monkeypatch.setattr(kgsl, "_predict", lambda *given: calls.append(given) or plain(*given))
    kgsl.classify(features, labels, subjects, test)
    assert [len(given[1]) for given in calls] == [32] * 5 + [40]
    assert right.min() < right.max() and calls[-1][3] == kgsl.SHARES[: int(right.argmax()) + 1]


def test_more_than_five_subjects_are_held_out_in_five_groups(monkeypatch):
    features, labels, subjects = histograms()
    calls, plain = [], kgsl._predict
    monkeypatch.setattr(kgsl, "_predict", lambda *given: calls.append(given) or plain(*given))
    kgsl.classify(features, labels, subjects, features)
    assert sorted(given[2].shape[1] for given in calls[:-1]) == [8, 8, 8, 8, 16]


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_it_is_weighted_least_squares_around_the_mean_target(class_weight):
    # One linear kernel of rank 2, too little for a perfect fit, and next to no penalty.
    rng = np.random.default_rng(3)
    labels = np.array(["fear"] * 30 + ["joy"] * 6 + ["anger"] * 4)
    known = rng.normal(size=(40, 2)) + (labels == "joy")[:, None] * [2, 0] + (labels == "anger")[:, None] * [0, 2]
    unknown = 2 * rng.normal(size=(200, 2))
    classes, numbers = np.unique(labels, return_inverse=True)
    counts = np.bincount(numbers)[numbers]
    weights = 40 / (3 * counts) if class_weight == "balanced" else np.ones(40)
    targets = np.eye(3)[numbers]
    mean = (weights @ targets) / weights.sum()
    root = np.sqrt(weights)[:, None]
    score = mean + unknown @ np.linalg.lstsq(root * known, root * (targets - mean))[0]
    clear = np.diff(np.sort(score, axis=1)[:, 1:])[:, 0] > 1e-3
    kernel, between = known @ known.T, unknown @ known.T
    found = kgsl._predict(kernel[None], labels, between[None], (1e-6,), class_weight)[0]
    np.testing.assert_array_equal(found[clear], classes[score.argmax(axis=1)][clear])
    assert len(set(found)) == 3 and clear.mean() > 0.9


def test_where_no_kernel_says_anything_the_largest_class_is_predicted(problem):
    kernels, _ = problem
    labels = np.array(["joy"] * 5 + ["fear"] * 7)
    assert set(kgsl._predict(kernels, labels, np.zeros((5, 3, 12)), (0.5,), "none")[0]) == {"fear"}
