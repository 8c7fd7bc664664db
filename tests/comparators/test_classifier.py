"""The classifier that all comparators share, and what `classify` promises for every method."""

import inspect

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pipeline import comparators
from pipeline.comparators.learnt import classifier
from pipeline.errors import InputError

SHAPES = {"hstlbp_ip": (3, 8), "sparse_mdmo": (4, 6)}
CLASSES = np.array(["disgust", "happiness", "surprise"])


def study(clips=60, subjects=6, features=12, seed=0, signal=1.0, sizes=None):
    """Features (N, D), labels and subjects of a study in which the first features tell the classes apart."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(3, clips, p=sizes)
    values = rng.normal(size=(clips, features)) * rng.uniform(0.1, 50, features)
    values[:, :3] += signal * np.eye(3)[numbers] * 2 * values[:, :3].std(axis=0)
    return values, CLASSES[numbers], np.array([f"s{number:02d}" for number in rng.integers(subjects, size=clips)])


def folds(subjects):
    for subject in np.unique(subjects):
        yield subjects != subject, subjects == subject


def predictions(features, labels, subjects, classify=classifier.classify):
    predicted = np.empty_like(labels)
    for train, test in folds(subjects):
        predicted[test] = classify(features[train], labels[train], subjects[train], features[test])
    return predicted


@pytest.mark.parametrize(("seed", "class_weight"), [(0, None), (1, None), (2, "balanced")])
def test_it_agrees_with_plain_scikit_learn(seed, class_weight):
    # Subjects have different numbers of clips, so that pooled accuracy is not the mean over subjects.
    features, labels, subjects = study(40, 5, seed=seed, signal=0.5, sizes=[0.6, 0.25, 0.15])
    for train, test in folds(subjects):
        scaler = StandardScaler().fit(features[train])
        scaled, held_out = scaler.transform(features[train]), scaler.transform(features[test])
        scale = (scaled**2).sum() / len(scaled)
        if class_weight is None:
            # Without any kernel matrix: a kernel that is divided by a number is a cost that is.
            known, unknown = scaled, held_out
            machines = [SVC(kernel="linear", C=cost / scale) for cost in classifier.COSTS]
        else:
            # With equal weights of classes, small costs let rounding decide: the same kernel matrix.
            gram = scaled @ scaled.T
            scale = np.trace(gram) / len(gram)
            known, unknown = gram / scale, held_out @ scaled.T / scale
            machines = [SVC(kernel="precomputed", C=cost, class_weight=class_weight) for cost in classifier.COSTS]
        leave_one_out = {"groups": subjects[train], "cv": LeaveOneGroupOut()}
        pooled = [
            (cross_val_predict(machine, known, labels[train], **leave_one_out) == labels[train]).mean()
            for machine in machines
        ]
        expected = machines[int(np.argmax(pooled))].fit(known, labels[train]).predict(unknown)
        found = classifier.classify(
            features[train], labels[train], subjects[train], features[test], class_weight or "none"
        )
        np.testing.assert_array_equal(found, expected)


def test_it_agrees_with_a_grid_search_where_subjects_have_equally_many_clips():
    features, labels, _ = study(40, seed=3, signal=0.4)
    subjects = np.repeat([f"s{number}" for number in range(5)], 8)
    for train, test in folds(subjects):
        scaler = StandardScaler().fit(features[train])
        scaled = scaler.transform(features[train])
        gram = scaled @ scaled.T
        scale = np.trace(gram) / len(gram)
        search = GridSearchCV(
            SVC(kernel="precomputed"), {"C": list(classifier.COSTS)}, scoring="accuracy", cv=LeaveOneGroupOut()
        ).fit(gram / scale, labels[train], groups=subjects[train])
        expected = search.predict(scaler.transform(features[test]) @ scaled.T / scale)
        np.testing.assert_array_equal(
            classifier.classify(features[train], labels[train], subjects[train], features[test]), expected
        )


def test_costs_are_those_of_the_protocol():
    assert classifier.COSTS == (2**-8, 2**-6, 2**-4, 2**-2, 1, 4, 16, 64)


def test_of_equally_good_costs_the_smallest_is_taken(monkeypatch):
    features, labels, subjects = study(signal=50.0)
    used = []
    plain = classifier._predict
    monkeypatch.setattr(classifier, "_predict", lambda *arguments: used.append(arguments[3]) or plain(*arguments))
    classifier.classify(features, labels, subjects, features)
    right = {
        cost: (
            cross_val_predict(
                SVC(kernel="linear", C=cost / features.shape[1]),
                StandardScaler().fit_transform(features),
                labels,
                groups=subjects,
                cv=LeaveOneGroupOut(),
            )
            == labels
        ).sum()
        for cost in classifier.COSTS
    }
    ties = [cost for cost in classifier.COSTS if right[cost] == max(right.values())]
    assert len(ties) > 1 and used[-1] == ties[0]


def test_features_of_any_shape_count_as_rows():
    features, labels, subjects = study()
    np.testing.assert_array_equal(
        classifier.classify(features.reshape(60, 3, 4), labels, subjects, features.reshape(60, 3, 4)[:7]),
        classifier.classify(features, labels, subjects, features[:7]),
    )


def test_permuted_labels_are_predicted_by_chance():
    # Seeds 0 to 4, 40 clips each: a third of 200 clips, give or take three standard deviations of 3.3 %.
    right = []
    for seed in range(5):
        features, labels, subjects = study(40, 4, seed=seed)
        labels = np.random.default_rng(seed).permutation(labels)
        right.append((predictions(features, labels, subjects) == labels).mean())
    assert abs(np.mean(right) - 1 / 3) < 0.1


def test_a_feature_that_is_the_label_is_enough():
    features, labels, subjects = study(signal=0)
    features[:, :3] = labels[:, None] == CLASSES
    features[:, 3:] *= 1e-9
    features[:, 3:] = features[0, 3:]
    assert (predictions(features, labels, subjects) == labels).all()


def test_a_feature_that_names_the_subject_does_not_help():
    # Every subject has a favourite class: with subjects on both sides, their names would give 70 % of the labels.
    rng = np.random.default_rng(0)
    subjects = np.repeat([f"s{number}" for number in range(6)], 12)
    favourite = CLASSES[np.arange(6) % 3].repeat(12)
    labels = np.where(rng.uniform(size=72) < 0.55, favourite, rng.choice(CLASSES, 72))
    features = (subjects[:, None] == np.unique(subjects)).astype(float)
    assert (favourite == labels).mean() > 0.6
    largest = max((labels == each).mean() for each in CLASSES)
    assert (predictions(features, labels, subjects) == labels).mean() <= largest


def test_other_test_clips_leave_the_prediction_of_a_clip_unchanged():
    features, labels, subjects = study(signal=0.5)
    train, test = subjects != "s00", subjects == "s00"
    arguments = (features[train], labels[train], subjects[train])
    before = classifier.classify(*arguments, features[train])
    loud = np.concatenate([1000 * features[test], features[train]])
    np.testing.assert_array_equal(classifier.classify(*arguments, loud)[test.sum() :], before)


def test_labels_of_test_clips_have_no_way_in():
    for function in (comparators.classify, classifier.classify):
        names = list(inspect.signature(function).parameters)
        assert [name for name in names if "label" in name] == ["labels"]


@pytest.mark.parametrize("name", comparators.methods())
def test_every_method_classifies(name):
    shape = SHAPES.get(name, (24,))
    features, labels, subjects = study(30, 4, features=24, signal=3.0)
    features = np.abs(features).reshape(30, *shape)
    train, test = subjects != "s00", subjects == "s00"
    settings = {"atoms": 8} if name == "sparse_mdmo" else {}
    arguments = (features[train], labels[train], subjects[train], features[test])
    predicted = comparators.classify(name, *arguments, **settings)
    assert predicted.shape == (test.sum(),) and set(predicted) <= set(CLASSES)
    np.testing.assert_array_equal(comparators.classify(name, *arguments, **settings), predicted)

    balanced = comparators.classify(name, *arguments, class_weight="balanced", **settings)
    assert set(balanced) <= set(CLASSES)

    # Nothing but the training clips is learnt from: the order of the test clips, or their number, changes nothing.
    backwards = comparators.classify(name, *arguments[:3], features[test][::-1], **settings)
    np.testing.assert_array_equal(backwards[::-1], predicted)
    loud = np.concatenate([features[test], 1000 * features[test]])
    np.testing.assert_array_equal(comparators.classify(name, *arguments[:3], loud, **settings)[: test.sum()], predicted)


@pytest.mark.parametrize("name", comparators.methods())
def test_folds_with_little_in_them_have_a_documented_result(name):
    shape = SHAPES.get(name, (24,))
    features, labels, subjects = study(clips=20, features=24, signal=3.0)
    features = np.abs(features).reshape(20, *shape)
    settings = {"atoms": 4} if name == "sparse_mdmo" else {}

    def classify(features, labels, subjects):
        return comparators.classify(name, features, labels, subjects, features[:5], **settings)

    one_class = np.repeat("surprise", 20)
    assert set(classify(features, one_class, subjects)) == {"surprise"}
    one_subject = np.repeat("s00", 20)
    assert set(classify(features, labels, one_subject)) <= set(CLASSES)
    # A class that only one subject shows is missing in an inner fold.
    rare = np.where(subjects == "s01", "disgust", "surprise")
    assert set(classify(features, rare, subjects)) <= {"disgust", "surprise"}
    # Features that are equal for all clips say nothing: the largest class.
    mostly = np.where(np.arange(20) < 13, "happiness", "disgust")
    for same in (np.ones_like(features), np.zeros_like(features)):
        assert set(classify(same, mostly, subjects)) == {"happiness"}


def test_what_cannot_be_classified_is_refused():
    features, labels, subjects = study()
    fit = (features, labels, subjects, features[:5])
    for position in (0, 3):
        broken = [each.copy() for each in fit]
        broken[position][2, 1] = np.nan
        with pytest.raises(InputError, match="fdm: expected finite features"):
            comparators.classify("fdm", *broken)
    with pytest.raises(InputError, match="expected a label and a subject for every training clip"):
        comparators.classify("fdm", features, labels[1:], subjects, features)
    with pytest.raises(InputError, match="features of one shape"):
        comparators.classify("fdm", features, labels, subjects, features[:, 1:])
    with pytest.raises(InputError, match="no clips to train with"):
        comparators.classify("fdm", features[:0], labels[:0], subjects[:0], features)
    with pytest.raises(InputError, match="class_weight: expected none or balanced, found 'even'"):
        comparators.classify("fdm", *fit, class_weight="even")
    with pytest.raises(InputError, match="expected one of the comparators"):
        comparators.classify("svm", *fit)
    with pytest.raises(InputError, match=r"fdm\.atoms"):
        comparators.classify("fdm", *fit, atoms=3)


def test_balanced_weights_help_rare_classes():
    features, labels, subjects = study(60, 4, seed=1, signal=0.4, sizes=[0.8, 0.1, 0.1])

    def common(class_weight):
        found = predictions(features, labels, subjects, lambda *fold: classifier.classify(*fold, class_weight))
        return (found == CLASSES[0]).mean()

    assert common("balanced") < common("none")
