"""Sparse codes: their closed form, and the dictionary that they are of."""

import numpy as np

from pipeline import comparators
from pipeline.comparators.learnt import classifier, sparse_codes


def test_with_an_orthonormal_dictionary_codes_are_a_soft_threshold():
    rng = np.random.default_rng(0)
    dictionary = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    rows = rng.normal(size=(10, 6))
    product = rows @ dictionary.T
    expected = np.sign(product) * np.maximum(np.abs(product) - 0.4, 0)
    np.testing.assert_allclose(sparse_codes.encode(rows, dictionary, 0.4), expected, atol=1e-9)
    assert (expected == 0).any()


def test_codes_meet_the_conditions_of_the_minimum():
    rng = np.random.default_rng(1)
    dictionary = rng.normal(size=(12, 6))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    rows = rng.normal(size=(10, 6))
    codes = sparse_codes.encode(rows, dictionary, 0.2)
    gradient = (rows - codes @ dictionary) @ dictionary.T
    used = codes != 0
    np.testing.assert_allclose(gradient[used], 0.2 * np.sign(codes[used]), atol=5e-3)
    assert np.abs(gradient[~used]).max() <= 0.2 + 5e-3 and 0 < used.mean() < 0.6


def test_the_dictionary_has_unit_atoms_and_the_same_bytes_every_time():
    rows = np.random.default_rng(2).normal(size=(80, 6))
    dictionary = sparse_codes.learn(rows, 10, 0.1, seed=0)
    assert dictionary.shape == (10, 6)
    np.testing.assert_allclose(np.linalg.norm(dictionary, axis=1), 1, rtol=1e-6)
    assert sparse_codes.learn(rows, 10, 0.1, seed=0).tobytes() == dictionary.tobytes()
    assert sparse_codes.learn(rows, 10, 0.1, seed=1).tobytes() != dictionary.tobytes()


def test_the_dictionary_finds_what_rows_are_made_of():
    rng = np.random.default_rng(3)
    atoms = np.linalg.qr(rng.normal(size=(8, 8)))[0][:4]
    rows = rng.choice([-1, 1], (300, 1)) * rng.uniform(0.5, 1, (300, 1)) * atoms[rng.integers(4, size=300)]
    dictionary = sparse_codes.learn(rows, 4, 0.05, seed=0)
    assert np.abs(dictionary @ atoms.T).max(axis=0).min() > 0.99


def test_more_atoms_than_rows_and_rows_of_zeros_are_no_fault():
    for rows in (np.random.default_rng(4).normal(size=(5, 6)), np.zeros((5, 6))):
        dictionary = sparse_codes.learn(rows, 9, 0.1, seed=0)
        assert np.isfinite(sparse_codes.encode(rows, dictionary, 0.1)).all()


def test_sparse_mdmo_pools_codes_of_a_dictionary_of_training_clips():
    rng = np.random.default_rng(5)
    labels, subjects = np.tile(["joy", "fear"], 10), np.repeat(["s1", "s2", "s3", "s4"], 5)
    features, test = rng.normal(size=(20, 3, 6)), rng.normal(size=(60, 3, 6))
    features[labels == "joy", :, :2] += 0.8
    predicted = []
    for seed in (0, 3):
        dictionary = sparse_codes.learn(features.reshape(-1, 6), 7, 0.15, seed)
        train, held_out = (
            np.stack([sparse_codes.encode(clip, dictionary, 0.15).mean(axis=0) for clip in clips])
            for clips in (features, test)
        )
        settings = {"atoms": 7, "sparsity": 0.15, "seed": seed}
        predicted.append(comparators.classify("sparse_mdmo", features, labels, subjects, test, **settings))
        np.testing.assert_array_equal(predicted[-1], classifier.classify(train, labels, subjects, held_out))
    assert (predicted[0] != predicted[1]).any()
