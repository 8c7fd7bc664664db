"""Where the arrays of a study lie, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.storage import clip_store, parts
from tests.manifests import part_of


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Flow of two databases, whose clips have the same names; a value for each clip."""
    monkeypatch.chdir(tmp_path)
    made = []
    for number, database in enumerate(("casme2", "smic")):
        clips = ["a/1", "a/2"] if number == 0 else ["a/2", "a/1"]
        fields = [np.full((2, 2, 3, 3), 10 * number + int(clip[-1]), np.float16) for clip in clips]
        clip_store.write_stack(Path(f"{database}.h5"), "flow", clips, fields)
        made.append(part_of(Path(f"{database}.h5"), prefix=parts.prefix(database, several=True)))
    return made


def test_a_clip_is_found_in_its_database_whatever_the_order(study):
    with parts.arrays(study, "flow") as flow:
        found = {clip: float(flow(clip).mean()) for clip in ("casme2-a/1", "casme2-a/2", "smic-a/1", "smic-a/2")}
        assert found == {"casme2-a/1": 1, "casme2-a/2": 2, "smic-a/1": 11, "smic-a/2": 12}
        with pytest.raises(InputError, match=r"expected the clip smic-b/1 in casme2\.h5, smic\.h5, found none"):
            flow("smic-b/1")


def test_a_manifest_is_read_as_it_was_written(study, tmp_path):
    (tmp_path / "parts").mkdir()
    for name, part in zip(("casme2", "smic"), study, strict=True):
        (tmp_path / f"parts/{name}.json").write_text(parts.as_text(part))
    assert parts.read(tmp_path / f"parts/{name}.json" for name in ("casme2", "smic")) == study
    with pytest.raises(InputError, match=r"samm\.json: expected the manifest of a database, found no such file"):
        parts.read([tmp_path / "parts/samm.json"])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"recordings": 1}'])
def test_a_damaged_manifest_is_one_clear_error(text):
    with pytest.raises(InputError, match=r"x\.json: expected the manifest of a database.*Delete it"):
        parts.parse(text, "x.json")


def test_a_file_that_is_not_what_its_manifest_says_is_named(study, tmp_path):
    file = study[0].flow
    assert file.checked() == Path("casme2.h5")
    content = bytearray(Path("casme2.h5").read_bytes())
    content[-1] ^= 1
    Path("casme2.h5").write_bytes(content)
    with pytest.raises(InputError, match=rf"casme2\.h5: expected the content with SHA-256 {file.sha256}, found"):
        file.checked()
    Path("casme2.h5").unlink()
    with pytest.raises(InputError, match="found no such file"):
        file.checked()
