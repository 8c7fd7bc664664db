"""The pipeline on trees of the official datasets, outside the repository, brought in by `python -m pipeline use`."""

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.frames import frame_files
from tests import official
from tests.stages.conftest import Workspace, copy_of, ran

pytestmark = pytest.mark.xdist_group("real datasets")  # one process makes what the tests share

SIZES = {"clips": 6, "subjects": 2, "height": 80, "width": 72, "frames": (5, 8)}
FRAMES = 3
STAGES = ("index", "interpolate", "resize", "stabilise", "extract_flow", "key_flow", "describe_inputs")
STAGES += ("gather", "task", "aggregate", "largest_class", "compare", "report")
METHOD = "mdmo"  # which has a feature of however few frames


def snapshot(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Time, permissions and bytes of everything in a folder."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def lock_up(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Read-only trees under a path with blanks and letters beyond ASCII; CASME II through a link."""
    folder = tmp_path_factory.mktemp("Daten ü 表")
    trees = {}
    for layout, name in (("casme", "casme.xlsx"), ("casme2", "CASME2-coding-20140508.xlsx"), ("smic", None)):
        tree = official.generate(folder / f"my {layout}", layout, **SIZES)
        if name:
            official.write_xlsx(tree.root / name, tree.table)
        lock_up(tree.root)
        trees[layout] = tree.root
    (folder / "link").symlink_to(trees["casme2"])
    trees["casme2"] = folder / "link"
    return trees


def use(workspace: Workspace, *arguments: str, fails: bool = False) -> str:
    return workspace.pipeline("use", *arguments, fails=fails)


def hasten(workspace: Workspace) -> None:
    """Few frames, one view of each clip, one epoch: the paper's settings take hours."""
    path = workspace.root / "params.yaml"
    yaml = YAML()
    document = yaml.load(path)
    document["interpolation"]["frames"] = FRAMES
    document["comparators"]["methods"] = [METHOD]
    document["train"]["epochs"] = 1
    document["train"]["augmentation"]["views"] = "random"
    document["synthesize"] |= {"subjects": 2, "clips": 4, "frames": [3, 4]}
    yaml.dump(document, path)


def names(dataset: str) -> set[str]:
    subjects = ("s01", "s02") if dataset == "smic" else ("sub01", "sub02")
    of_method = {f"{stage}@{dataset}-{METHOD}" for stage in ("describe", "comparator_inputs", "classify")}
    trained = {f"train@{dataset}-{subject}" for subject in subjects}
    return {f"{stage}@{dataset}" for stage in STAGES} | of_method | trained


@pytest.fixture(scope="module")
def studied(clean, raw, tmp_path_factory):
    """CASME, CASME II and SMIC, one after the other adopted, run and committed; what DVC ran."""
    workspace = copy_of(clean, tmp_path_factory.mktemp("studied")).unrendered()
    hasten(workspace)
    before = {layout: snapshot(root.resolve()) for layout, root in raw.items()}
    outputs = {}
    for layout in raw:
        use(workspace, layout, "--from", str(raw[layout]), "--flow", "dis")
        hasten(workspace)
        outputs[layout] = workspace.dvc("repro")
        workspace.commit()
    return workspace, outputs, before


def test_every_stage_runs_on_the_adopted_dataset(studied):
    workspace, outputs, _ = studied
    assert ran(outputs["casme"]) == names("casme") | {"synthesize"}
    for layout in ("casme2", "smic"):
        assert ran(outputs[layout]) == names(layout)
    for layout in outputs:
        assert len(pd.read_csv(workspace.root / f"results/{layout}/predictions.csv")) == 6
    assert workspace.run("git", "status", "--porcelain") == ""


def test_the_report_names_the_annotation_and_says_why_attention_is_not_scored(studied):
    workspace, outputs, _ = studied
    for layout in outputs:
        page = workspace.read(f"results/{layout}/report.html").decode()
        assert json.loads(workspace.read(f"results/{layout}/attention.json")).keys() == {"reason"}
        sums = json.loads(workspace.read(f"data/{layout}/annotation.json"))
        assert len(sums) == (layout != "smic") and all(value in page for value in sums.values())
        assert "Faces are not shown" in page and "Table 1" in page


def test_raw_data_is_not_written(studied, raw):
    _, _, before = studied
    for layout, root in raw.items():
        assert snapshot(root.resolve()) == before[layout]


def test_switching_back_runs_nothing(studied, raw, tmp_path):
    workspace = copy_of(studied[0], tmp_path)
    results = workspace.read("results/casme2/predictions.csv")
    use(workspace, "casme2", "--from", str(raw["casme2"]), "--flow", "dis")
    hasten(workspace)
    assert not ran(workspace.dvc("repro"))
    assert workspace.read("results/casme2/predictions.csv") == results


def test_experiments_in_a_folder_of_their_own_find_the_raw_data(studied, tmp_path):
    workspace = copy_of(studied[0], tmp_path)
    target = "interpolate@smic"  # the last stage that reads raw data
    assert ran(workspace.dvc("exp", "run", "--temp", "-S", "interpolation.frames=4", target)) == {target}
    workspace.dvc("exp", "run", "--queue", "--name", "queued", "-S", "interpolation.frames=5", target)
    assert ran(workspace.dvc("exp", "run", "--run-all", "--jobs", "2")) == {target}
    assert "queued" in workspace.dvc("exp", "list")


def test_faces_are_not_pushed(studied, tmp_path):
    workspace = copy_of(studied[0], tmp_path)
    workspace.dvc("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    workspace.dvc("push", "--all-commits")
    pushed = {path.parent.name + path.name for path in (tmp_path / "store").rglob("*") if path.is_file()}
    for layout in ("casme2", "smic"):
        for name, kept in (
            *(("interpolated.h5", False), ("resized.h5", False), ("stabilised.h5", False)),
            *(("head_motion.h5", True), ("flow.h5", True), ("clips.csv", True)),
        ):
            digest = hashlib.md5(workspace.read(f"data/{layout}/{name}")).hexdigest()
            assert (digest in pushed) is kept, f"{layout}/{name}"


@pytest.fixture
def recordings(clean, tmp_path):
    """SMIC clips as raw recordings, indexed: a face on a background twice its size."""
    tree = official.generate(tmp_path / "recordings", "smic", **SIZES | {"height": 112, "width": 96})
    background = np.full((224, 224, 3), 90, np.uint8)
    for path in tree.root.rglob("reg_*.bmp"):
        picture = background.copy()
        picture[60:172, 100:196] = cv2.imread(str(path))
        cv2.imwrite(str(path.with_name(path.name.removeprefix("reg_"))), picture)
        path.unlink()
    workspace = copy_of(clean, tmp_path)
    hasten(workspace)
    assert "databases.smic.face: crop" in use(workspace, "smic", "--from", str(tree.root), "--flow", "dis")
    workspace.stage("index", "smic")
    return workspace, tree


def test_faces_are_cut_out_of_raw_recordings_with_one_square_per_clip(recordings):
    workspace, tree = recordings
    workspace.stage("interpolate", "smic")
    with h5py.File(workspace.root / "data/smic/interpolated.h5") as file:
        for row in tree.rows:
            clip = file[row["clip"]][:]
            assert clip.shape[1] == clip.shape[2] and 60 < clip.shape[1] <= 130
            # The same square in the onset frame and the offset frame, bit for bit.
            files, corners = frame_files.numbered(tree.root / row["frames"]), []
            for index, number in ((0, row["onset"]), (-1, row["offset"])):
                whole = frame_files.read(files[number])
                side = clip.shape[1]
                found = [
                    (x, y)
                    for y in range(whole.shape[0] - side + 1)
                    for x in range(whole.shape[1] - side + 1)
                    if (whole[y, x] == clip[index][0, 0]).all()
                    and np.array_equal(whole[y : y + side, x : x + side], clip[index])
                ]
                assert len(found) == 1
                corners.append(found[0])
            assert corners[0] == corners[1]


def test_a_clip_without_a_face_is_named_with_a_picture_and_takes_a_box_by_hand(recordings):
    workspace, tree = recordings
    first, second = tree.rows[:2]
    for row in (first, second):
        onset = frame_files.numbered(tree.root / row["frames"])[row["onset"]]
        cv2.imwrite(str(onset), np.full((224, 224, 3), 128, np.uint8))
    output = workspace.stage("interpolate", "smic", fails=True)
    assert "; 2 are not right:" in output and "Traceback" not in output
    for row in (first, second):
        picture = f"inspect/smic/faces/{row['clip'].replace('/', '_')}.png"
        assert f"{row['clip']}: no face found in its onset frame (224 x 224 px), see {picture}" in output
        assert cv2.imread(str(workspace.root / picture)).shape == (224, 224, 3)
    assert workspace.run("git", "status", "--porcelain", "--ignored", "inspect").startswith("!! inspect/")
    boxes = f"{{{first['clip']}: [10, 20, 100, 90], {second['clip']}: [150, 0, 100, 100]}}"
    workspace.edit("face_boxes: {}", f"face_boxes: {boxes}")
    output = workspace.stage("interpolate", "smic", fails=True)
    assert f"{second['clip']}: face_boxes: [150, 0, 100, 100] is not inside its onset frame" in output
    workspace.edit("[150, 0, 100, 100]", "[120, 0, 100, 100]")
    workspace.stage("interpolate", "smic")
    with h5py.File(workspace.root / "data/smic/interpolated.h5") as file:
        assert file[first["clip"]].shape == (FRAMES, 90, 100, 3)


def test_a_changed_annotation_that_dvc_does_not_see_is_refused(clean, raw, tmp_path):
    workspace = copy_of(clean, tmp_path)
    hasten(workspace)
    table = tmp_path / "coding.xlsx"
    shutil.copy(raw["casme2"] / "CASME2-coding-20140508.xlsx", table)
    table.chmod(0o644)
    use(workspace, "casme2", "--from", str(raw["casme2"] / "Cropped"), "--annotation", str(table), "--flow", "dis")
    workspace.stage("index", "casme2")
    table.write_bytes(table.read_bytes() + b" ")
    assert "expected the annotation with SHA-256" in workspace.stage("index", "casme2", fails=True)
