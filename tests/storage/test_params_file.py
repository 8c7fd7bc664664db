"""params.yaml keeps its comments, order and alignment when values change."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.storage.params_file import changed

COMMITTED = Path(__file__).parents[2] / "params.yaml"

VALUES = {
    "databases.synthetic.raw": "/media/a folder/whose name would not fit on one line/of eighty characters/CASME II",
    "subjects": ["006", "sub02"],
    "databases.synthetic.exclude": ["sub01/EP02_01f", "casme.xlsx:7"],
    "train.epochs": 60,
    "train.lr": 1e-5,
    "train.augmentation.scales": [1.0],
    "train.augmentation.horizontal_flip": True,
    "flow.method": "farneback",
}


def comments(text):
    return [line[line.index("#") :].rstrip() for line in text.splitlines() if "#" in line]


def test_values_change_and_comments_do_not():
    text, changes = changed(COMMITTED, VALUES)
    document = YAML(typ="safe", pure=True).load(text)
    before = YAML(typ="safe", pure=True).load(COMMITTED)
    for key, value in VALUES.items():
        found = document
        for part in key.split("."):
            found = found[part]
        assert found == value
    assert comments(text) == comments(COMMITTED.read_text())
    assert list(document) == list(before)
    assert [change.key for change in changes] == list(VALUES)
    assert "lr: 1e-05 " in text
    assert "subjects:                     # all" in text
    assert "\n- '006'\n- sub02\nprotocol" in text
    untouched = set(COMMITTED.read_text().splitlines()) - set(text.splitlines())
    assert all(any(word in line for word in ("- ", *(key.split(".")[-1] for key in VALUES))) for line in untouched)


def test_going_back_gives_the_same_bytes(tmp_path):
    text, changes = changed(COMMITTED, VALUES)
    other = tmp_path / "params.yaml"
    other.write_text(text)
    assert changed(other, {change.key: change.old for change in changes})[0] == COMMITTED.read_text()


def test_equal_values_change_nothing():
    text, changes = changed(COMMITTED, {"lambda": 1e-8, "subjects": [f"sub0{n}" for n in range(1, 6)]})
    assert text == COMMITTED.read_text() and not changes


def test_a_change_is_shown_as_old_and_new():
    _, changes = changed(
        COMMITTED, {"train.epochs": 60, "subjects": ["a"], "databases.synthetic.annotation.sha256": "0"}
    )
    assert [str(change) for change in changes] == [
        "train.epochs: 40 → 60",
        "subjects: [sub01, sub02, sub03, sub04, sub05] → [a]",
        "databases.synthetic.annotation.sha256: '' → 0",
    ]


def test_a_mapping_that_is_replaced_is_shown_entry_by_entry_and_leaves_the_comments_below_in_place(tmp_path):
    other = tmp_path / "params.yaml"
    before = YAML(typ="safe", pure=True).load(COMMITTED)["databases"]
    section = {"raw": "/data/smic", "annotation": {"file": "auto", "sha256": ""}, "exclude": ["a"], "face_boxes": {}}
    text, changes = changed(COMMITTED, {"databases": {"smic": section}})
    assert [str(change) for change in changes] == [
        "databases.synthetic: removed",
        "databases.smic.raw: /data/smic",
        "databases.smic.annotation.file: auto",
        "databases.smic.annotation.sha256: ''",
        "databases.smic.exclude: [a]",
        "databases.smic.face_boxes: {}",
    ]
    assert comments(text) == comments(COMMITTED.read_text())
    other.write_text(text)
    assert changed(other, {"databases": before})[0] == COMMITTED.read_text()


@pytest.mark.parametrize("value", ["{}", "\n  sub01/a:\n  - 1\n  - 2\n  - 3\n  - 4", "\n  sub01/a: [1, 2, 3, 4]"])
def test_comments_below_a_nested_value_stay(tmp_path, value):
    file = tmp_path / "params.yaml"
    file.write_text(f"boxes: {value}\n\n# --- next ---\nother: 1\n")
    text, _ = changed(file, {"boxes": {}})
    assert text == "boxes: {}\n\n# --- next ---\nother: 1\n"
