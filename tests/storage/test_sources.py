"""Manifests of what a method reads: written as they are read, and one clear error for anything else."""

import json

import pytest

from pipeline.errors import InputError
from pipeline.storage import sources
from pipeline.storage.parts import File
from pipeline.storage.sources import Source

ARRAYS, RECORDINGS = File("data/a/flow.h5", "0" * 64), File("data/a/recordings.csv", "1" * 64)


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    (tmp_path / "smic.json").write_text(sources.manifest(ARRAYS, RECORDINGS))
    assert sources.read({"smic": tmp_path / "smic.json"}) == [Source("smic", "", ARRAYS, RECORDINGS)]
    (tmp_path / "smic.json").write_text(sources.manifest(ARRAYS))
    assert sources.read({"smic": tmp_path / "smic.json"}) == [Source("smic", "", ARRAYS, None)]


def test_clips_of_several_databases_have_their_databases_in_front(tmp_path):
    for name in ("casme2", "smic"):
        (tmp_path / f"{name}.json").write_text(sources.manifest(ARRAYS))
    found = sources.read({name: tmp_path / f"{name}.json" for name in ("smic", "casme2")})
    assert [(source.database, source.prefix) for source in found] == [("smic", "smic-"), ("casme2", "casme2-")]


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "[]", "{", "null", '{"arrays": null, "recordings": null}'),
        json.dumps({"arrays": {"path": "a", "sha256": "b"}}),
        json.dumps({"arrays": {"path": "a"}, "recordings": None}),
        json.dumps({"arrays": {"path": "a", "sha256": "b", "size": 3}, "recordings": None}),
    ],
)
def test_a_missing_or_damaged_manifest_is_one_clear_error(tmp_path, content):
    file = tmp_path / "smic.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=r"smic\.json: expected the manifest of what a method reads.*`dvc repro`"):
        sources.read({"smic": file})


def test_sources_arrive_at_another_machine_as_they_are():
    sent = [Source("smic", "smic-", ARRAYS, RECORDINGS), Source("casme2", "casme2-", RECORDINGS, None)]
    assert sources.parse(sources.as_text(sent)) == sent
