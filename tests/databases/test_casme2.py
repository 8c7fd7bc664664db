"""CASME II trees as they come, and everything that can be wrong with one."""

import pandas as pd
import pytest

from pipeline.databases import casme2
from pipeline.databases.profiles import PROFILES
from pipeline.databases.recordings import COLUMNS
from pipeline.databases.task import make_task
from pipeline.errors import InputError


def read(tree, **options):
    tree.write_annotation()
    return casme2.read(tree.root, **options)


def test_the_table_has_the_columns_of_the_contract_sorted_by_clip(tree):
    tree.add(2, "EP03_04", onset=99, apex=101, offset=103, label="Surprise ")
    tree.add(1, "EP01_01f", onset=8, apex="/", offset=12)
    table = read(tree).table
    assert tuple(table.columns) == COLUMNS
    assert table.to_csv(index=False).splitlines()[1:] == [
        "sub01/EP01_01f,sub01,disgust,8,,12,5,Cropped/sub01/EP01_01f",
        "sub02/EP03_04,sub02,surprise,99,101,103,5,Cropped/sub02/EP03_04",
    ]


@pytest.mark.parametrize("subject", [1, 1.0, "1", "01", "sub01"])
def test_a_subject_is_understood_in_every_spelling(tree, subject):
    tree.add()
    tree.rows[0]["Subject"] = subject
    assert read(tree).table["subject"].tolist() == ["sub01"]


def test_labels_outside_the_task_are_counted(tree):
    tree.add(1, "a")
    tree.add(1, "b", label="fear")
    tree.add(2, "c", label="sadness")
    tree.add(2, "d", label="sadness")
    reading = read(tree)
    assert len(reading.table) == 4  # whatever their label
    task = make_task({"casme2": reading.table}, {"casme2": PROFILES["casme2"]}, "own")
    assert list(task.clips["clip"]) == ["sub01/a"] and task.left_out == {"fear": 1, "sadness": 2}


def test_an_extra_folder_level_and_stray_files_do_not_matter(tree):
    tree.add()
    (tree.root / "Cropped").rename(tree.root / "x")
    (tree.root / "Cropped").mkdir()
    (tree.root / "x").rename(tree.root / "Cropped" / "Cropped")
    (tree.root / "~$CASME2-coding-20140508.xlsx").touch()
    pd.DataFrame({"note": [1]}).to_excel(tree.root / "notes.xlsx")
    assert read(tree).table["frames"].tolist() == ["Cropped/Cropped/sub01/EP01_01"]


def broken(tree, match, **options):
    with pytest.raises(InputError, match=match):
        read(tree, **options)


def test_a_missing_frame_folder(tree):
    folder = tree.add()
    folder.rename(folder.with_name("EP09"))
    broken(tree, r"CASME2-coding-20140508\.xlsx:2: sub01/EP01_01: frame folder .*EP01_01 is missing")


def test_a_gap_in_the_frames(tree):
    tree.add(onset=8, offset=14, frames=[8, 9, 12, 14])
    broken(tree, r"frames 10-11, 13 of 8-14 missing")


def test_a_truncated_image(tree):
    path = tree.add() / "reg_img10.jpg"
    path.write_bytes(path.read_bytes()[:-50])
    broken(tree, r"reg_img10\.jpg is a truncated JPEG")


def test_an_unreadable_image(tree):
    (tree.add() / "reg_img10.jpg").write_text("no image")
    broken(tree, r"reg_img10\.jpg is not a JPEG, PNG or BMP")


@pytest.mark.parametrize(("onset", "offset"), [(12, 8), (8, 8)])
def test_onset_not_before_offset(tree, onset, offset):
    tree.add()
    tree.rows[0] |= {"OnsetFrame": onset, "OffsetFrame": offset}
    broken(tree, f"onset {onset} is not before offset {offset}")


def test_an_offset_that_is_no_number(tree):
    tree.add()
    tree.rows[0]["OffsetFrame"] = "\\"
    broken(tree, "must be frame numbers, found 8 and None")


def test_a_duplicate_clip(tree):
    tree.add()
    tree.add()
    broken(tree, r"xlsx:3: sub01/EP01_01: the same clip is already in CASME2-coding-20140508\.xlsx:2")


def test_a_label_that_is_no_class(tree):
    tree.add(label="joy")
    broken(tree, r"label 'joy' is no class of casme2 \(disgust, happiness, others, repression, surprise, fear, sad")


def test_an_empty_annotation(tree):
    tree.add()
    tree.rows.clear()
    broken(tree, "found no sample at all")


def test_a_folder_without_annotation(tree):
    tree.add()
    with pytest.raises(InputError, match=r"expected one annotation spreadsheet.*found none"):
        casme2.read(tree.root)


def test_two_annotations(tree):
    tree.add()
    tree.write_annotation()
    (tree.root / "copy.xlsx").write_bytes(tree.annotation.read_bytes())
    broken(tree, r"expected one annotation.*CASME2-coding-20140508\.xlsx, .*copy\.xlsx")


def test_a_tree_without_frames(tree):
    tree.add()
    (tree.root / "Cropped").rename(tree.root.parent / "elsewhere")
    broken(tree, r"expected one folder that holds sub01.*found none")


def test_a_missing_tree(tmp_path):
    with pytest.raises(InputError, match="found nothing at"):
        casme2.read(tmp_path / "nowhere")


@pytest.mark.parametrize("level", ["Cropped", "Cropped/sub01", "Cropped/sub01/EP01_01"])
def test_a_linked_folder_is_refused_by_name(tree, level):
    tree.add()
    folder = tree.root / level
    moved = folder.rename(tree.root.parent / "elsewhere")
    folder.symlink_to(moved, target_is_directory=True)
    broken(tree, rf"found links: {folder}\.")


def test_the_root_itself_may_be_a_link(tree, tmp_path):
    tree.add()
    tree.write_annotation()
    (tmp_path / "link").symlink_to(tree.root)
    assert len(casme2.read(tmp_path / "link").table) == 1


def test_a_file_name_that_leads_out_of_the_tree(tree):
    tree.add(name="../../../outside")
    broken(tree, "has a part that is no name, but leads to another folder")


def test_all_defects_are_reported_at_once(tree):
    tree.add(1, "a", label="joy")
    tree.add(1, "b", frames=[])
    tree.add(1, "c")
    tree.rows[2]["OnsetFrame"] = 99
    tree.add(2, "d")
    with pytest.raises(InputError) as error:
        read(tree)
    assert "3 defects" in str(error.value)
    assert all(f"sub01/{name}" in str(error.value) for name in "abc")
    assert "sub02/d" not in str(error.value)


@pytest.mark.parametrize("entry", ["sub01/a", "CASME2-coding-20140508.xlsx:2"])
def test_a_defective_clip_can_be_excluded_by_id_or_row(tree, entry):
    tree.add(1, "a", frames=[])
    tree.add(1, "b")
    assert read(tree, exclude=[entry]).table["clip"].tolist() == ["sub01/b"]


def test_an_exclusion_that_matches_nothing_is_an_error(tree):
    tree.add()
    broken(tree, "sub07/x is no clip and no row", exclude=["sub07/x"])


def test_a_tree_that_cannot_be_written_is_read_and_left_alone(tree):
    tree.add()
    tree.write_annotation()
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in tree.root.rglob("*")}
    for path in [tree.root, *before]:
        path.chmod(path.stat().st_mode & ~0o222)
    assert len(casme2.read(tree.root).table) == 1
    after = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in tree.root.rglob("*")}
    assert after == before


def test_a_name_that_leads_to_another_folder_is_refused(tree):
    tree.add(1, "EP01_01")
    tree.add(2, "EP01_02")
    tree.rows[0]["Filename"] = "../sub02/EP01_02"
    tree.write_annotation()
    with pytest.raises(InputError, match=r"clip 'sub01/\.\./sub02/EP01_02' has a part that is no name"):
        casme2.read(tree.root)
