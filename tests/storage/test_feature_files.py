"""Features are looked up by the names that clips have in a dataset, and only if they are those of the manifest."""

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.storage import clip_store, feature_files, parts, sources

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def manifests(tmp_path, monkeypatch):
    """Two databases, described."""
    monkeypatch.chdir(tmp_path)
    found = {}
    for database, rows in (("casme", slice(0, 2)), ("smic", slice(2, 4))):
        file = tmp_path / f"{database}.h5"
        clip_store.write_stack(file, "features", ["s1/a", "s1/b"], FEATURES[rows])
        found[database] = tmp_path / f"{database}.json"
        found[database].write_text(sources.manifest(parts.file_of(file)))
    return found


def test_clips_of_one_database_have_their_own_names(manifests):
    read = feature_files.read({"smic": manifests["smic"]}, ["s1/b", "s1/a"])
    np.testing.assert_array_equal(read, FEATURES[[3, 2]])


def test_clips_of_several_databases_are_told_apart(manifests):
    read = feature_files.read(manifests, ["smic-s1/a", "casme-s1/b", "smic-s1/b"])
    np.testing.assert_array_equal(read, FEATURES[[2, 1, 3]])


def test_what_is_missing_or_changed_is_named(manifests, tmp_path):
    with pytest.raises(InputError, match=r"1 of them are not among the 2 of the file \(s1/c\)"):
        feature_files.read({"smic": manifests["smic"]}, ["s1/c"])
    clip_store.write_stack(tmp_path / "smic.h5", "features", ["s1/a", "s1/b"], FEATURES[:2])
    with pytest.raises(InputError, match=r"smic\.h5: expected the content with SHA-256"):
        feature_files.read({"smic": manifests["smic"]}, ["s1/a"])
    manifests["casme"].write_text("[]")
    with pytest.raises(InputError, match=r"casme\.json: expected the manifest of what a method reads"):
        feature_files.read(manifests, [])


def test_features_of_different_shapes_are_refused(manifests, tmp_path):
    clip_store.write_stack(tmp_path / "smic.h5", "features", ["s1/a"], [np.zeros((2, 2), np.float32)])
    manifests["smic"].write_text(sources.manifest(parts.file_of(tmp_path / "smic.h5")))
    with pytest.raises(InputError, match=r"features of one shape .* casme: \(3,\), smic: \(2, 2\)"):
        feature_files.read(manifests, ["casme-s1/a"])
