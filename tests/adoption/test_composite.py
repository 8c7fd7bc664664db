"""`python -m pipeline use composite` and `use megc2019`: one study over several databases, and SAMM by itself."""

import hashlib
import re
import shutil
from pathlib import Path

import cv2
import pandas as pd
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from pipeline import params
from pipeline.__main__ import main
from pipeline.databases import megc2019
from pipeline.databases.profiles import PROFILES, THREE
from pipeline.databases.task import make_task
from tests import official
from tests.tiny import shrink

pytestmark = pytest.mark.xdist_group("trees of the composite")  # one process makes what the tests share

ROOT = Path(__file__).parents[2]
TABLES = {"casme2": "CASME2-coding-20140508.xlsx", "samm": "SAMM_Micro_FACS_Codes_v2.xlsx", "smic": None}


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """A clean tree of each database of the composite, with its annotation."""
    folder = tmp_path_factory.mktemp("trees")
    made = {}
    for seed, (name, file) in enumerate(TABLES.items()):
        tree = made[name] = official.generate(folder / name, name, seed=seed, frames=(3, 3))
        if file:
            write_table(tree, tree.root / file)
    return made


def write_table(tree, path):
    official.write_xlsx(path, [*(official.PROSE if "SAMM" in path.name else []), *tree.table])


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout with a small study, and without the steps that the estimate takes."""
    folder = tmp_path / "checkout"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/none").touch()
    shutil.copy(ROOT / "params.yaml", folder)
    shrink(folder / "params.yaml")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_view", lambda *_: (0.1, "CPU"))
    monkeypatch.setattr("pipeline.adoption.estimate._seconds_per_pair", lambda *_: (0.1, ""))
    return folder


@pytest.fixture
def copies(trees, tmp_path):
    """The trees to damage."""
    made = {}
    for name, tree in trees.items():
        shutil.copytree(tree.root, tmp_path / name)
        made[name] = official.Official(
            tmp_path / name, [dict(row) for row in tree.rows], [list(row) for row in tree.table]
        )
    return made


def use(*arguments, fails=False):
    result = CliRunner().invoke(main, ["use", *map(str, arguments)])
    assert (result.exit_code == 1) == fails and result.exit_code in (0, 1), result.output
    assert not result.exception or isinstance(result.exception, SystemExit)
    return result.output


def folders(trees, *names):
    return [word for name in names or trees for word in (f"--{name}", trees[name].root)]


def loaded():
    return params.load_params(Path("params.yaml"))


def listed(trees, monkeypatch):
    """The official list: as if it were that of these trees."""
    recordings = {name: pd.DataFrame(tree.rows) for name, tree in trees.items()}
    clips = make_task(recordings, {name: PROFILES[name] for name in trees}, "three").clips
    lines, counts = [], {}
    for clip, subject, label, database in zip(
        *(clips[key] for key in ("clip", "subject", "label", "database")), strict=True
    ):
        who = subject.removeprefix(f"{database}-")
        line = f"{database},{who},{clip.rsplit('/')[-1]},{THREE.index(label)}\n"
        lines.append(hashlib.sha256(line.encode()).hexdigest())
        counts.setdefault(database, {}).setdefault(who, 0)
        counts[database][who] += 1
    made = megc2019.OfficialList(frozenset(lines), counts)
    monkeypatch.setattr(megc2019, "official", lambda: made)
    return clips


def test_samm_is_adopted_with_the_checks_of_the_others(checkout, trees, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)  # which takes a few training steps
    output = use("samm", "--from", trees["samm"].root)
    study = loaded()
    assert study.dataset == "samm" and study.subjects == ("001", "002", "003")
    assert (study.train.epochs, study.flow.method) == (30, "flownet2")
    assert "the release       136        27         5" in output
    assert "WARNING: this copy is not what the release has: 9 clips instead of 136" in output
    sheet = cv2.imread(str(checkout / "inspect/samm/contact_sheet.png"))
    assert sheet.shape[0] == 256 * 5
    assert re.search(r"subjects: .*\n- '001'\n", (checkout / "params.yaml").read_text())  # text in any YAML


def test_frames_are_cropped_database_by_database(checkout, trees, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)  # which takes a few training steps
    use("composite", *folders(trees, "casme2", "smic"), "--face", "smic=crop")
    assert {name: database.face for name, database in loaded().databases.items()} == {"casme2": "none", "smic": "crop"}
    use("composite", *folders(trees, "casme2", "smic"), "--face", "smic=none")
    assert loaded().databases["smic"].face == "none"


def test_an_apex_out_of_range_is_said(checkout, copies, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)  # which takes a few training steps
    tree = copies["samm"]
    tree.cell(0, "Apex Frame", 9999)
    write_table(tree, tree.root / TABLES["samm"])
    output = use("samm", "--from", tree.root, "--check")
    assert f"not between onset and offset:\n  {tree.rows[0]['clip']}: 9999 is not in" in output


def test_the_three_classes_of_a_database_are_compared_with_its_part_of_the_composite(checkout, trees, monkeypatch):
    monkeypatch.setattr("pipeline.adoption.adopt.estimate", lambda *_: None)  # which takes a few training steps
    output = use("samm", "--classes", "three", "--from", trees["samm"].root)
    assert loaded().dataset == "samm-3" and loaded().classes == "three"
    assert "MEGC 2019         133        28         3" in output
    others = sum(row["label"] == "other" for row in trees["samm"].rows)
    assert f"left out, because the task does not use them: {others} other" in output


def test_the_clips_that_the_composite_leaves_out_are_named(checkout, copies):
    tree = copies["casme2"]
    row = next(n for n, row in enumerate(tree.rows) if row["label"] == "surprise")
    tree.move(row, lambda _: "Cropped/sub04/EP12_01f")
    tree.cell(row, "Subject", 4)
    tree.cell(row, "Filename", "EP12_01f")
    write_table(tree, tree.root / TABLES["casme2"])
    output = use("casme2", "--classes", "three", "--from", tree.root, "--check")
    assert "left out, because the task does not use them: 1 surprise\n" in output
    assert "because the composite does not use these clips: sub04/EP12_01f\n" in output
    assert "does not use these clips" not in use("casme2", "--from", tree.root, "--check")


def test_a_composite_has_the_clips_and_people_of_all_its_databases(checkout, trees):
    output = use("composite", *folders(trees))
    study = loaded()
    assert (study.dataset, study.classes, set(study.databases)) == ("composite", "three", set(trees))
    assert study.subjects == (
        *(f"casme2-sub{n:02d}" for n in (1, 2, 3)),
        *(f"samm-{n:03d}" for n in (1, 2, 3)),
        *(f"smic-s{n:02d}" for n in (1, 2, 3)),
    )
    others = sum(row["label"] == "other" for row in trees["samm"].rows)
    assert f"composite: {27 - others} clips of 9 subjects" in output
    assert "casme2 in " in output and "samm in " in output and "smic in " in output
    sheet = cv2.imread(str(checkout / "inspect/composite/contact_sheet.png"))
    assert sheet.shape[0] == 256 * 9  # of each class and database
    assert "training  9 folds: about" in output


def test_a_composite_can_have_another_name_and_any_databases(checkout, trees):
    use("composite", "--as", "asians", *folders(trees, "smic", "casme2"), "--flow", "dis")
    assert loaded().dataset == "asians" and list(loaded().databases) == ["casme2", "smic"]
    assert loaded().flow.method == "dis"


def test_what_belongs_to_a_database_is_the_same_alone_and_in_the_composite(checkout, trees):
    """Then DVC has nothing to do for it: its stages depend on this section, and on parameters that stay."""
    use("casme2", "--from", trees["casme2"].root)
    alone = loaded()
    use("composite", *folders(trees))
    together = loaded()
    assert together.databases["casme2"] == alone.databases["casme2"]
    assert (together.flow, together.interpolation, together.resize) == (alone.flow, alone.interpolation, alone.resize)
    use("casme2")
    assert loaded() == alone
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    for name in ("index", "interpolate", "resize", "extract_flow"):
        stage = stages[name]
        assert stage["foreach"] == "${databases}"  # index@casme2, whatever is studied
        text = str(stage["do"])
        assert "${dataset}" not in text and "classes" not in text and "subjects" not in text
        assert set(stage["do"]["params"]) <= {
            *(
                f"databases.${{key}}.{key}"
                for key in ("annotation", "exclude", "missing_frames", "raw", "face", "face_boxes")
            ),
            *("flow", "flow.method", "interpolation", "resize"),
        }


def test_megc2019_is_the_composite_whose_clips_are_those_of_the_list(checkout, trees, monkeypatch):
    listed(trees, monkeypatch)
    assert "The clips are those of the official list\n" in use("megc2019", *folders(trees))
    assert loaded().dataset == "megc2019" and loaded().accepted == ()
    use("casme2")
    use("megc2019", *folders(trees, "samm", "smic"))  # CASME II's folder is in params.yaml
    assert loaded().dataset == "megc2019"


def test_a_table_in_which_clips_are_swapped_is_refused_with_their_names(checkout, copies, monkeypatch):
    clips = listed(copies, monkeypatch)
    tree = copies["casme2"]
    surprised = next(n for n, row in enumerate(tree.rows) if row["label"] == "surprise")
    happy = next(n for n, row in enumerate(tree.rows) if row["label"] == "happiness")
    tree.cell(surprised, "Estimated Emotion", "others")
    tree.cell(happy, "Estimated Emotion", "surprise")
    write_table(tree, tree.root / TABLES["casme2"])
    before = (checkout / "params.yaml").read_bytes()
    output = use("megc2019", *folders(copies), fails=True)
    gone, other = (f"casme2-{tree.rows[n]['clip']}" for n in (surprised, happy))
    assert "found 2 differences" in output
    assert f"{gone}: left out here as others, surprise in the official list" in output
    assert f"{other}: surprise here, positive in the official list" in output
    assert "Likely: CASME II: another annotation" in output and f"--accept {gone}" in output
    assert (checkout / "params.yaml").read_bytes() == before
    output = use("megc2019", *folders(copies), "--accept", gone, "--accept", other)
    assert "The clips are those of the official list, but for:\n" in output
    assert loaded().accepted == (gone, other) and len(clips) > 0
    use("smic")
    assert loaded().accepted == ()


def test_what_was_accepted_comes_back_with_the_study(checkout, copies, monkeypatch):
    listed(copies, monkeypatch)
    empty = copies["smic"].rows[-1]
    for path in (copies["smic"].root / empty["frames"]).iterdir():
        path.unlink()
    assert "no frames in" in use("megc2019", *folders(copies), fails=True)
    text = (checkout / "params.yaml").read_text().replace("exclude: []", f"exclude: [{empty['clip']}]")
    (checkout / "params.yaml").write_text(text)
    output = use("megc2019", *folders(copies), fails=True)
    name = f"smic-{empty['clip']}"
    assert f"{name}: not among the recordings here" in output and "s18_sur_03" in output
    use("megc2019", *folders(copies), "--accept", name)
    lock = {  # what `dvc repro` keeps of it
        "task@megc2019": {"params": {"params.yaml": {"accepted": [name]}}},
        "index@smic": {"params": {"params.yaml": {"databases.smic.exclude": [empty["clip"]]}}},
    }
    YAML().dump({"schema": "2.0", "stages": lock}, checkout / "dvc.lock")
    study = loaded()
    use("casme2")
    use("megc2019", *folders(copies))
    assert loaded() == study


def test_frames_that_two_databases_share_are_named(checkout, trees, tmp_path):
    tree = trees["smic"]
    row = tree.rows[0]
    shutil.copytree(tree.root / row["frames"], tmp_path / "own/x")
    shutil.copytree(tree.root / tree.rows[-1]["frames"], tmp_path / "own/y")
    table = pd.DataFrame(
        {
            "clip": ["x", "y"],
            "subject": ["p", "q"],
            "label": ["negative", "positive"],
            "onset": [row["onset"], tree.rows[-1]["onset"]],
            "offset": [row["offset"], tree.rows[-1]["offset"]],
            "frames": ["x", "y"],
        }
    )
    table.to_csv(tmp_path / "own/clips.csv", index=False)
    output = use("composite", *folders(trees, "smic"), "--table", tmp_path / "own", fails=True)
    assert "found 2 with the same onset frame" in output and f"table x is smic {row['clip']}" in output


def test_two_spellings_of_one_subject_are_named(checkout, trees, tmp_path):
    rows = []
    for number, (subject, label) in enumerate((("p1", "negative"), ("p01", "positive"))):
        shutil.copytree(trees["smic"].root / trees["smic"].rows[number]["frames"], tmp_path / f"own/{number}")
        source = trees["smic"].rows[number]
        rows.append((str(number), subject, label, source["onset"], source["offset"], str(number)))
    table = pd.DataFrame(rows, columns=["clip", "subject", "label", "onset", "offset", "frames"])
    table.to_csv(tmp_path / "own/clips.csv", index=False)
    output = use("composite", *folders(trees, "casme2"), "--table", tmp_path / "own", fails=True)
    assert "subject p01 is written p1 in clips.csv:2; give one person one name" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["megc2019", "casme2", "smic"], "found none of samm: python -m pipeline use megc2019 --casme2 DIR --samm DIR"),
        (["composite", "casme2"], "expected the folders of at least two databases, found casme2"),
        (["composite"], "expected the folders of at least two databases, found none"),
        (["composite", "casme2", "smic", "--classes", "own"], "is a study of several databases in three classes"),
        (["composite", "casme2", "smic", "--as", "casme-3"], "dataset: must be a name of its own"),
        (["composite", "casme2", "smic", "--accept", "x"], "--accept: expected with megc2019"),
        (["composite", "casme2", "smic", "--annotation", "x"], "--annotation: expected DATABASE=FILE"),
        (["composite", "casme2", "smic", "--annotation", "samm=x"], "--annotation: expected one of casme2, smic"),
        (["megc2019", "casme2", "samm", "smic", "--as", "x"], "--as: expected with composite"),
        (["casme2", "smic"], "casme2 is one database: expected --from DIR"),
        (["composite", "casme2", "smic", "--flow", "diss"], "--flow: expected one of dis, farneback, flownet2"),
    ],
)
def test_a_wrong_call_is_one_clear_error(checkout, trees, arguments, message):
    before = (checkout / "params.yaml").read_bytes()
    words = [word for given in arguments[1:] for word in (folders(trees, given) if given in trees else [given])]
    output = use(arguments[0], *words, fails=True)
    assert message in output and "Traceback" not in output
    assert (checkout / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("inside", ["", "HS"])
def test_two_databases_in_one_folder_are_refused(checkout, trees, inside):
    smic = trees["smic"].root
    output = use("composite", "--smic", smic, "--casme2", smic / inside, fails=True)
    assert "expected a folder of its own for each database, found" in output and str(smic) in output


def test_a_link_to_the_folder_of_another_database_is_refused(checkout, trees, tmp_path):
    (tmp_path / "link").symlink_to(trees["smic"].root)
    output = use("composite", "--smic", trees["smic"].root, "--casme2", tmp_path / "link", fails=True)
    assert "expected a folder of its own for each database, found" in output


def test_a_folder_of_one_of_three_databases_that_is_not_there_is_named(checkout, trees, tmp_path):
    before = (checkout / "params.yaml").read_bytes()
    output = use("megc2019", *folders(trees, "casme2", "smic"), "--samm", tmp_path / "SAMM", fails=True)
    assert f"expected the folder of the dataset, found nothing at {tmp_path / 'SAMM'}" in output
    assert (checkout / "params.yaml").read_bytes() == before


def test_an_annotation_of_one_database_of_a_composite_can_be_named(checkout, copies, tmp_path):
    table = (copies["casme2"].root / TABLES["casme2"]).rename(tmp_path / "coding.xlsx")
    use("composite", *folders(copies, "casme2", "smic"), "--annotation", f"casme2={table}")
    assert loaded().databases["casme2"].annotation.file == str(table)
    use("composite", *folders(copies))  # and stays
    assert loaded().databases["casme2"].annotation.file == str(table)
