"""`python -m pipeline use`: what it says, what it writes, and when it writes nothing."""

import re
import shutil
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from pipeline import params
from pipeline.__main__ import main
from pipeline.adoption.estimate import _duration
from pipeline.databases import readers
from pipeline.errors import InputError
from tests import official
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("trees of one database")  # one process makes what the tests share

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout with the committed params.yaml."""
    folder = tmp_path / "checkout"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/none").touch()
    shutil.copy(ROOT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tiny(checkout, monkeypatch):
    """The same with a small study, and without the steps of training that the estimate takes."""
    shrink(checkout / "params.yaml")
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_view", lambda *_: (0.1, "CPU"))
    return checkout


def use(*arguments, fails=False):
    result = CliRunner().invoke(main, ["use", *map(str, arguments)])
    assert (result.exit_code == 1) == fails and result.exit_code in (0, 1), result.output
    assert not result.exception or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """A clean tree of every layout, with its annotation."""
    folder = tmp_path_factory.mktemp("Daten ü 表")
    made = {}
    for layout, name in (("casme", "casme.xlsx"), ("casme2", "CASME2-coding-20140508.xlsx"), ("smic", None)):
        made[layout] = official.generate(folder / f"my {layout}", layout)
        if name:
            official.write_xlsx(made[layout].root / name, made[layout].table)
    return made


@pytest.fixture
def copy(trees, tmp_path):
    """A CASME II tree to damage."""
    shutil.copytree(trees["casme2"].root, tmp_path / "copy")
    tree = trees["casme2"]
    return official.Official(tmp_path / "copy", [dict(row) for row in tree.rows], [list(row) for row in tree.table])


PAPER = {
    "casme": (60, (0.9, 1.0, 1.1), False, "171        19         4"),
    "casme2": (30, (0.9, 1.0, 1.1), False, "246        26         5"),
    "smic": (100, (1.0,), True, "164        16         3"),
}


@pytest.mark.parametrize("layout", PAPER)
def test_a_dataset_is_adopted_with_the_settings_of_the_paper(tiny, trees, layout):
    output = use(layout, "--from", trees[layout].root)
    loaded = params.load_params(tiny / "params.yaml")
    epochs, scales, flip, counts = PAPER[layout]
    assert (loaded.dataset, loaded.databases[layout].raw) == (layout, str(trees[layout].root))
    assert loaded.subjects == (("s01", "s02", "s03") if layout == "smic" else ("sub01", "sub02", "sub03"))
    assert (loaded.train.epochs, loaded.train.lr, loaded.train.weight_decay) == (epochs, 1e-5, 1e-4)
    assert loaded.lambda_ == 1e-8 and loaded.flow.method == "flownet2" and loaded.databases[layout].face == "none"
    augmentation = loaded.train.augmentation
    assert (augmentation.scales, augmentation.horizontal_flip, augmentation.views) == (scales, flip, "all")
    assert f"the paper  {counts:>30}" in output
    assert re.search(r"this copy +9 +3 +[34]\n", output)
    assert "WARNING: this copy is not what the paper used: 9 clips instead of" in output
    assert "frames per clip: 3 to 4, median" in output and "image size: 64 x 64 px (9 clips)" in output
    assert "  train.lr: 0.001 → 1e-05\n" in output and f"  dataset: synthetic → {layout}\n" in output
    assert re.search(r"training  3 folds: about \d+ ", output) and "GB are free" in output
    assert "cannot be told before flownet2 has its weights" in output
    if layout != "smic":
        assert re.search(r"SHA-256 [0-9a-f]{64}\n", output)
    sheet = cv2.imread(str(tiny / f"inspect/{layout}/contact_sheet.png"))
    assert sheet is not None and sheet.shape[0] == 256 * len({row["label"] for row in trees[layout].rows})
    assert f"inspect/{layout}/contact_sheet.png" in output


def test_going_back_to_the_synthetic_dataset_restores_the_committed_file(checkout, trees, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)
    use("smic", "--from", trees["smic"].root)
    use("synthetic")
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert "stays as it is" in use("synthetic")


def test_the_subjects_of_the_synthetic_dataset_follow_its_layout(checkout):
    text = (checkout / "params.yaml").read_text()
    (checkout / "params.yaml").write_text(text.replace("layout: casme2", "layout: smic"))
    use("synthetic")
    assert params.load_params(checkout / "params.yaml").subjects == ("s01", "s02", "s03", "s04", "s05")


def test_check_writes_nothing(tiny, trees):
    before = (tiny / "params.yaml").read_bytes()
    assert "params.yaml would change:" in use("casme2", "--from", trees["casme2"].root, "--check")
    use("synthetic", "--check")
    assert (tiny / "params.yaml").read_bytes() == before
    assert sorted(path.name for path in tiny.iterdir()) == ["params.yaml", "weights"]


def test_another_estimator_can_be_chosen_from_the_start(checkout, trees):
    shrink(checkout / "params.yaml")
    text = (checkout / "params.yaml").read_text()
    (checkout / "params.yaml").write_text(text.replace("frames: 6 ", "frames: 3 "))
    output = use("smic", "--from", trees["smic"].root, "--flow", "dis")
    assert params.load_params(checkout / "params.yaml").flow.method == "dis"
    assert re.search(r"flow      18 pairs of frames: about ", output)
    before = (checkout / "params.yaml").read_bytes()
    assert "--flow: expected one of dis, farneback, flownet2; found diss" in use("smic", "--flow", "diss", fails=True)
    assert (checkout / "params.yaml").read_bytes() == before


def ten_defects(tree):
    """Damage every clip but the last, and add rows; what each defect is called."""

    def folder(number):
        return tree.root / tree.rows[number]["frames"]

    def files(number):
        return sorted(folder(number).iterdir(), key=lambda path: int(path.stem.removeprefix("reg_img")))

    folder(0).rename(folder(0).with_name("elsewhere"))
    files(1)[1].unlink()
    tree.cell(2, "OnsetFrame", tree.rows[2]["offset"])
    files(3)[1].write_bytes(files(3)[1].read_bytes()[:-30])
    files(4)[0].write_text("<html>")
    files(5)[2].write_bytes(b"")
    tree.cell(6, "Estimated Emotion", "joy")
    tree.cell(7, "OffsetFrame", "\\")
    last = tree.table[9]
    tree.table += [list(last), [1, "../../../outside", None, 1, 2, 3, None, "4", "disgust"]]
    (tree.root / ".." / "outside").mkdir(exist_ok=True)
    return [
        f"xlsx:2: {tree.rows[0]['clip']}: frame folder {folder(0)} is missing",
        f"xlsx:3: {tree.rows[1]['clip']}: frame {tree.rows[1]['onset'] + 1} of",
        f"xlsx:4: {tree.rows[2]['clip']}: onset {tree.rows[2]['offset']} is not before offset",
        f"xlsx:5: {tree.rows[3]['clip']}: {files(3)[1]} is a truncated JPEG",
        f"xlsx:6: {tree.rows[4]['clip']}: {files(4)[0]} is not a JPEG, PNG or BMP image",
        f"xlsx:7: {tree.rows[5]['clip']}: {files(5)[2]} is empty",
        f"xlsx:8: {tree.rows[6]['clip']}: label 'joy' is no class of casme2",
        f"xlsx:9: {tree.rows[7]['clip']}: onset and offset must be frame numbers",
        f"xlsx:11: {tree.rows[8]['clip']}: the same clip is already in CASME2-coding-20140508.xlsx:10",
        "xlsx:12: sub01/../../../outside: clip 'sub01/../../../outside' has a part that is no name",
    ]


def test_ten_defects_are_reported_at_once_and_nothing_is_written(tiny, copy):
    defects = ten_defects(copy)
    official.write_xlsx(copy.root / "CASME2-coding-20140508.xlsx", copy.table)
    before = (tiny / "params.yaml").read_bytes()
    output = use("casme2", "--from", copy.root, fails=True)
    assert "10 defects in this copy of casme2" in output
    for defect in defects:
        assert output.count(defect) == 1, defect
    assert (tiny / "params.yaml").read_bytes() == before
    assert sorted(path.name for path in tiny.iterdir()) == ["params.yaml", "weights"]


def test_what_is_excluded_no_longer_stands_in_the_way(tiny, copy):
    defects = ten_defects(copy)
    official.write_xlsx(copy.root / "CASME2-coding-20140508.xlsx", copy.table)
    entries = [re.match(r"xlsx:(\d+)", defect).group(1) for defect in defects]
    text = (tiny / "params.yaml").read_text()
    listed = ", ".join(f"'CASME2-coding-20140508.xlsx:{row}'" for row in entries)
    (tiny / "params.yaml").write_text(text.replace("exclude: []", f"exclude: [{listed}, sub99/of_another_dataset]"))
    output = use("casme2", "--from", copy.root, fails=True)  # now it is that one subject alone is left
    assert "expected clips of at least two subjects" in output and "defects" not in output


def test_exclusions_stay_with_their_dataset(tiny, copy, trees):
    (copy.root / copy.rows[0]["frames"]).rename(copy.root / "Cropped/sub01/gone")
    clip = copy.rows[0]["clip"]
    text = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(text.replace("exclude: []", f"exclude: [{clip}]"))
    assert f"excluded in params.yaml: {clip}\n" in use("casme2", "--from", copy.root)
    assert params.load_params(tiny / "params.yaml").databases["casme2"].exclude == (clip,)
    assert "databases.casme2: removed" in use("smic", "--from", trees["smic"].root)
    use("casme2", "--from", copy.root, fails=True)
    text = (tiny / "params.yaml").read_text().replace("exclude: []", "exclude: [s01/s01_typo_01]")
    (tiny / "params.yaml").write_text(text)
    assert "s01/s01_typo_01 is no clip" in use("smic", fails=True)


def test_what_was_said_of_single_clips_comes_back_with_their_dataset(tiny, copy, trees):
    (copy.root / copy.rows[0]["frames"]).rename(copy.root / "Cropped/sub01/gone")
    gone, boxed = copy.rows[0]["clip"], copy.rows[1]["clip"]
    text = (tiny / "params.yaml").read_text().replace("exclude: []", f"exclude: [{gone}]")
    (tiny / "params.yaml").write_text(text)
    use("casme2", "--from", copy.root)
    text = (tiny / "params.yaml").read_text().replace("face_boxes: {}", f"face_boxes: {{{boxed}: [1, 2, 30, 40]}}")
    (tiny / "params.yaml").write_text(text)
    run = params.load_params(tiny / "params.yaml")
    lock = {  # what `dvc repro` keeps of it
        "index@casme2": {"params": {"params.yaml": {"databases.casme2.exclude": [gone]}}},
        "interpolate@casme2": {"params": {"params.yaml": {"databases.casme2.face_boxes": {boxed: [1, 2, 30, 40]}}}},
    }
    YAML().dump({"schema": "2.0", "stages": lock}, tiny / "dvc.lock")
    use("smic", "--from", trees["smic"].root)
    other = params.load_params(tiny / "params.yaml")
    assert other.databases["smic"].exclude == () and other.databases["smic"].face_boxes == {}
    output = use("casme2", "--from", copy.root)
    assert f"excluded in params.yaml: {gone}\n" in output and f"databases.casme2.exclude: [{gone}]\n" in output
    assert params.load_params(tiny / "params.yaml") == run


def test_the_folder_may_be_a_link_but_not_one_inside(tiny, copy, tmp_path):
    (tmp_path / "link").symlink_to(copy.root)
    use("casme2", "--from", tmp_path / "link")
    assert params.load_params(tiny / "params.yaml").databases["casme2"].raw == str(tmp_path / "link")
    moved = (copy.root / "Cropped/sub02").rename(tmp_path / "sub02")
    (copy.root / "Cropped/sub02").symlink_to(moved)
    assert f"found links: {tmp_path}/link/Cropped/sub02" in use("casme2", fails=True)


def test_an_annotation_elsewhere_is_kept_by_its_content(tiny, copy, tmp_path):
    table = (copy.root / "CASME2-coding-20140508.xlsx").rename(tmp_path / "coding.xlsx")
    use("casme2", "--from", copy.root / "Cropped", "--annotation", table)
    annotation = params.load_params(tiny / "params.yaml").databases["casme2"].annotation
    assert annotation.file == str(table) and len(annotation.sha256) == 64
    official.write_xlsx(table, copy.table[:-1])
    assert "databases.casme2.annotation.sha256: " in use("casme2")
    inside = shutil.copy(table, copy.root / "Cropped/coding.xlsx")
    use("casme2", "--annotation", inside)
    annotation = params.load_params(tiny / "params.yaml").databases["casme2"].annotation
    assert (annotation.file, annotation.sha256) == ("coding.xlsx", "")


def test_raw_frames_are_cropped_to_the_face(tiny, copy):
    (copy.root / "Cropped").rename(copy.root / "CASME2_RAW_selected")
    for path in copy.root.rglob("reg_*"):
        path.rename(path.with_name(path.name.removeprefix("reg_")))
    output = use("casme2", "--from", copy.root)
    assert "face: crop, because these frames seem to be whole" in output
    assert params.load_params(tiny / "params.yaml").databases["casme2"].face == "crop"


@pytest.mark.parametrize(
    ("folder", "face"),
    [
        ("Raw_uncropped", "crop"),
        ("not-cropped", "crop"),
        ("CASME2 non cropped", "crop"),
        ("before_cropping", "crop"),
        ("CASME2-RAW", "crop"),
        ("Cropped", "none"),
        ("CASME2_Cropped_uncropped_too", "none"),
        ("facecrop", "none"),
        ("canon_crops", "none"),
    ],
)
def test_the_name_of_a_folder_says_whether_its_frames_are_cropped(tiny, copy, folder, face):
    (copy.root / "Cropped").rename(copy.root / folder)
    for path in copy.root.rglob("reg_*"):
        path.rename(path.with_name(path.name.removeprefix("reg_")))
    use("casme2", "--from", copy.root)
    assert params.load_params(tiny / "params.yaml").databases["casme2"].face == face


def face_of(checkout, name="table"):
    return params.load_params(checkout / "params.yaml").databases[name].face


@pytest.fixture
def table(tree_of_faces, tmp_path):
    """The clips of whole frames as a table, in a folder of its own."""
    shutil.copytree(tree_of_faces, tmp_path / "table")
    return tmp_path / "table"


@pytest.fixture(scope="session")
def tree_of_faces(trees, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces") / "table"
    shutil.copytree(trees["casme2"].root, folder)
    for path in folder.rglob("*.xlsx"):
        path.unlink()
    readers.read("casme2", trees["casme2"].root).table.to_csv(folder / "clips.csv", index=False)
    return folder


def test_use_does_not_undo_what_was_set_of_a_table(tiny, table, trees, tmp_path):
    for path in table.rglob("reg_*"):
        path.rename(path.with_name(path.name.removeprefix("reg_")))
    rename(table, "Cropped", "faces")
    assert "add --face crop" in use("table", "--from", table) and face_of(tiny) == "none"
    assert "databases.table.face: none → crop" in use("table", "--face", "crop") and face_of(tiny) == "crop"
    assert "face: crop, as before" in use("table") and face_of(tiny) == "crop"
    moved = table.rename(tmp_path / "elsewhere")
    assert "face: crop, as before" in use("table", "--from", moved) and face_of(tiny) == "crop"
    text = (tiny / "params.yaml").read_text()
    lock = {"interpolate@table": {"params": {"params.yaml": {"databases.table.face": "crop"}}}}
    YAML().dump({"schema": "2.0", "stages": lock}, tiny / "dvc.lock")
    use("smic", "--from", trees["smic"].root)
    use("table", "--from", moved, "--flow", "dis")
    assert face_of(tiny) == "crop"
    (tiny / "params.yaml").write_text(
        text.replace("face: crop ", "face: none ").replace("face: crop\n", "face: none\n")
    )
    use("table")
    assert face_of(tiny) == "none"


def rename(root, old, new):
    """Rename the folder of all frames, also in the table."""
    (root / old).rename(root / new)
    (root / "clips.csv").write_text((root / "clips.csv").read_text().replace(f"{old}/", f"{new}/"))


def test_a_release_in_another_folder_is_looked_at_again(tiny, copy, tmp_path):
    use("casme2", "--from", copy.root, "--face", "crop")
    assert "face: crop, as before" in use("casme2") and face_of(tiny, "casme2") == "crop"
    use("casme2", "--from", copy.root.rename(tmp_path / "another"))
    assert face_of(tiny, "casme2") == "none"


def test_the_contact_sheet_shows_the_square_that_frames_are_cut_to(tiny, table):
    def red():
        sheet = cv2.imread(str(tiny / "inspect/table/contact_sheet.png")).astype(int)
        return int(((sheet[..., 2] > 200) & (sheet[..., 1] < 60) & (sheet[..., 0] < 60)).sum())

    use("table", "--from", table)
    assert red() == 0
    clips = readers.read("table", table).table["clip"]
    boxes = ", ".join(f"{clip}: [4, 4, 50, 50]" for clip in clips)
    text = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(text.replace("face_boxes: {}", f"face_boxes: {{{boxes}}}"))
    use("table", "--face", "crop")
    assert red() > 1000


def test_labels_that_no_font_here_can_draw_are_refused(tiny, table, monkeypatch):
    text = (table / "clips.csv").read_text()
    label = re.findall("disgust|happiness|repression|surprise", text)[0]
    (table / "clips.csv").write_text(text.replace(label, "喜"))
    monkeypatch.setattr("pipeline.lettering._installed", lambda: [])
    before = (tiny / "params.yaml").read_bytes()
    assert "\n  喜: 喜\n" in use("table", "--from", table, fails=True)
    assert (tiny / "params.yaml").read_bytes() == before
    (table / "clips.csv").write_text(text.replace(label, "радость"))
    use("table", "--from", table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("casme2", "--face", "cut"), "--face: expected crop or none; found cut"),
        (("synthetic", "--face", "crop"), "shows faces only"),
        (("composite", "--face", "crop"), "--face: expected DATABASE=crop in a study of several"),
        (
            ("composite", "--casme2", ".", "--smic", ".", "--face", "samm=crop"),
            "expected one of casme2, smic; found samm",
        ),
    ],
)
def test_a_wrong_face_is_one_error(tiny, arguments, message):
    assert message in use(*arguments, fails=True)


@pytest.mark.parametrize("layout", ["smic", "casme2"])  # sub01 is no subject of the one and another person in the other
def test_a_subset_of_folds_stays_with_its_dataset(tiny, trees, layout):
    def hold_out(subject):
        text = (tiny / "params.yaml").read_text().replace("held_out: all", f"held_out: [{subject}]")
        (tiny / "params.yaml").write_text(text)

    hold_out("sub01")
    assert "held_out: [sub01] → all" in use(layout, "--from", trees[layout].root)
    own = params.load_params(tiny / "params.yaml").subjects[0]
    hold_out(own)
    assert "held_out" not in use(layout)
    assert params.load_params(tiny / "params.yaml").held_out == (own,)


def test_the_estimate_counts_the_folds_that_are_trained(tiny, trees, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_view", lambda *_: (0.01, "a processor"))
    use("casme2", "--from", trees["casme2"].root)  # 9 clips of 3 subjects, 15 views, 30 epochs
    assert "training  3 folds: about 81 s, 27 s each" in use("casme2")
    text = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(text.replace("held_out: all", "held_out: [sub01, sub02]"))
    assert "training  2 folds: about 58 s, 29 s each" in use("casme2")


def test_the_estimate_counts_the_compilation(tiny, trees, monkeypatch):
    clock = iter([0.0, 20.0, 100.0, 105.0])  # 20 s in full, then 5 s from PyTorch's cache
    monkeypatch.setattr("pipeline.adoption.estimate.check_compiler", lambda device: None)
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_view", lambda *_: (0.01, "a processor"))
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_pair", lambda *_: (0.1, ""))
    monkeypatch.setattr("pipeline.adoption.estimate._training_step", lambda *_, **__: lambda: None)
    monkeypatch.setattr("pipeline.adoption.estimate.time.perf_counter", lambda: next(clock))
    text = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(text.replace("compile: false", "compile: true "))
    output = use("casme2", "--from", trees["casme2"].root)
    assert "training  3 folds: about 2 minutes, 47 s each" in output  # 81 s, as above, and 2 x (20 + 2 x 5)
    assert "of which about 60 s to compile the network" in output


def test_use_says_that_nothing_can_be_compiled_here(tiny, trees, monkeypatch):
    def fail(device):
        raise InputError("train.compile is true, but")

    monkeypatch.setattr("pipeline.adoption.estimate.check_compiler", fail)
    text = (tiny / "params.yaml").read_text()
    (tiny / "params.yaml").write_text(text.replace("compile: false", "compile: true "))
    output = use("casme2", "--from", trees["casme2"].root)
    assert "WARNING: train.compile is true, but. The estimate is without it." in output
    assert "training  3 folds: about" in output and "to compile" not in output


def test_clips_that_were_drawn_in_the_report_are_not_those_of_another_dataset(tiny, trees):
    (tiny / "params.yaml").write_text(
        (tiny / "params.yaml").read_text().replace("clips: [] ", "clips: [sub01/EP02_01] ")
    )
    assert "report.clips: [sub01/EP02_01] → []" in use("smic", "--from", trees["smic"].root)
    assert params.load_params(tiny / "params.yaml").report.clips == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["casme4"],
            "expected one of the databases casme, casme2, casme3, fourdme, mmew, samm, smic, synthetic, table; "
            "found casme4",
        ),
        (["casme2"], "use casme2 --from DIR"),
        (["casme2", "--from", "nowhere"], "found nothing at"),
        (["synthetic", "--from", "."], "has no folder to name"),
    ],
)
def test_a_wrong_call_is_one_clear_error(tiny, arguments, message):
    before = (tiny / "params.yaml").read_bytes()
    output = use(*arguments, fails=True)
    assert message in output and "Traceback" not in output
    assert (tiny / "params.yaml").read_bytes() == before


def test_a_table_is_adopted_with_the_labels_it_has(tiny, copy):
    table = readers.read("casme2", copy.root).table
    (copy.root / "CASME2-coding-20140508.xlsx").unlink()
    table.to_csv(copy.root / "clips.csv", index=False)
    output = use("table", "--from", copy.root, "--flow", "farneback")
    assert "the paper" not in output
    assert params.load_params(tiny / "params.yaml").dataset == "table"


def test_durations_are_said_in_units_that_suit_them():
    assert [_duration(s) for s in (0.2, 90, 300, 7300, 200000)] == ["1 s", "90 s", "5 minutes", "2 hours", "2 days"]
