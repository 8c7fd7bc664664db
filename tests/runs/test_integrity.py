"""What lies on disk is what dvc.lock says, or an error by name."""

import hashlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.errors import InputError
from pipeline.runs import integrity
from pipeline.storage import tables
from stages.command import stage
from tests.runs.test_recovery import written

ROOT = Path(__file__).parents[2]
TRAIN, AGGREGATE = "stages/python -m stages.train stanet sub01", "stages/python -m stages.aggregate stanet"
CLIPS, SPLIT, FOLD = "data/synthetic/clips.csv", "data/synthetic/splits/sub01.csv", "results/synthetic/folds/sub01.csv"


def cached(content: bytes) -> Path:
    digest = hashlib.md5(content).hexdigest()
    return Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]


def out(path: str, digest: str, size: int) -> dict:
    return {"path": path, "hash": "md5", "md5": digest, "size": size}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clip table, a fold, and a folder of splits, as DVC leaves them: linked into the cache."""
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        Path(name).write_text((ROOT / name).read_text())
    contents = {CLIPS: b"clip,subject\na,sub01\n", SPLIT: b"clip\na\n", FOLD: b"clip,p_a\na,0.25\n"}
    for name, content in contents.items():
        cached(content).parent.mkdir(parents=True, exist_ok=True)
        cached(content).write_bytes(content)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).hardlink_to(cached(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    listed = json.dumps([{"md5": md5[SPLIT], "relpath": "sub01.csv"}]).encode()
    cached(listed).parent.mkdir(parents=True, exist_ok=True)
    folder = hashlib.md5(listed).hexdigest()
    (cached(listed).parent / f"{folder[2:]}.dir").write_bytes(listed)
    stages = {
        "task@synthetic": {
            "cmd": "stages/python -m stages.task",
            "outs": [out(CLIPS, md5[CLIPS], 21), out("data/synthetic/splits", f"{folder}.dir", 7)],
        },
        "train@synthetic-sub01": {
            "cmd": TRAIN,
            "outs": [out(FOLD, md5[FOLD], 16)],
        },
        "aggregate@synthetic": {
            "cmd": AGGREGATE,
            "deps": [out(FOLD, md5[FOLD], 16)],
            "outs": [],
        },
    }
    Path("dvc.lock").write_text(written(stages))
    return contents


def flip(path: str) -> None:
    """Change a byte; size and time stay, as DVC looks at them."""
    file = Path(path)
    content, status = bytearray(file.read_bytes()), file.stat()
    content[-3] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def verify(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["verify", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_all_is_well(checkout):
    integrity.check_inputs("aggregate")
    code, said = verify()
    assert code == 0 and "4 objects in DVC's cache, 0 MB read\nNone is damaged" in said


@pytest.mark.parametrize(("file", "stage"), [(CLIPS, "task"), (FOLD, "train"), (SPLIT, "task")])
def test_a_flipped_byte_is_found_and_the_way_back_is_said(checkout, file, stage):
    flip(file)
    code, said = verify()
    assert code == 1 and "1 are damaged" in said
    assert f"{file} ({cached(checkout[file])} and {file}): once it is removed, `dvc repro {stage}@synthetic" in said
    assert Path(file).exists()
    code, said = verify("--remove")
    assert code == 0 and f"`dvc repro {stage}@synthetic" in said
    assert not Path(file).exists() and not cached(checkout[file]).exists()


def test_a_damaged_copy_in_the_workspace_comes_back_from_the_cache(checkout):
    content = Path(FOLD).read_bytes()
    Path(FOLD).unlink()
    Path(FOLD).write_bytes(content)
    flip(FOLD)
    code, said = verify("--remove")
    assert code == 0 and f"{FOLD} ({FOLD}): `dvc checkout train@synthetic-sub01` restores it" in said
    assert not Path(FOLD).exists() and cached(content).read_bytes() == content


def test_what_is_not_in_the_cache_is_not_damaged(checkout):
    for name in (FOLD, cached(checkout[FOLD])):
        Path(name).unlink()
    code, said = verify()
    assert (
        code == 0
        and "1 are not there; `dvc repro` makes, or `dvc pull` fetches, those of train@synthetic-sub01" in said
    )


def test_the_list_of_a_folder_is_checked_as_well(checkout):
    [listed] = Path(".dvc/cache").rglob("*.dir")
    flip(str(listed))
    code, said = verify()
    assert code == 1 and f"data/synthetic/splits ({listed})" in said


def test_another_place_of_the_cache_is_found(checkout):
    Path(".dvc/cache").rename("elsewhere")
    Path(".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n")
    assert "4 objects" in verify()[1]


@pytest.mark.parametrize("place", ["global", "system"])
def test_a_cache_that_the_configuration_of_the_user_or_the_machine_names_is_found(checkout, monkeypatch, place):
    monkeypatch.setenv(f"DVC_{place.upper()}_CONFIG_DIR", str(Path("levels").absolute()))
    Path(".dvc/cache").rename("elsewhere")
    Path("levels").mkdir()
    Path("levels/config").write_text(f"[cache]\n    dir = {Path('elsewhere').absolute()}\n")
    assert "4 objects" in verify()[1]


@pytest.fixture
def reading(checkout, monkeypatch):
    """Say what the DVC that started this process reads, as its rwlock does; another DVC reads SPLIT."""
    monkeypatch.setenv("DVC_STAGE", "a@synthetic")

    def reads(*files: str, pid: int = 0) -> None:
        readers = {str(Path(file).absolute()): [{"pid": pid or os.getppid(), "cmd": "dvc repro"}] for file in files}
        if SPLIT not in files:
            readers[str(Path(SPLIT).absolute())] = [{"pid": 2**22 + 1, "cmd": "dvc repro"}]
        Path(".dvc/tmp").mkdir(exist_ok=True)
        Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": {}, "read": readers}))

    return reads


@pytest.mark.parametrize(
    ("read", "file"),
    [("results/synthetic/folds", FOLD), (CLIPS, CLIPS), (SPLIT, SPLIT), ("data/synthetic/splits", SPLIT)],
)
def test_a_damaged_input_is_named_before_the_stage_starts(checkout, reading, read, file):
    reading("dvc.yaml", read)
    integrity.check_inputs("train")
    flip(file)
    with pytest.raises(InputError, match=f"found another in:\n  {file}\n.*python -m pipeline verify"):
        integrity.check_inputs("train")


def test_what_a_stage_does_not_read_does_not_stop_it(checkout, reading):
    reading(CLIPS)
    flip(FOLD)
    flip(SPLIT)  # read by another DVC
    integrity.check_inputs("train")
    reading("data/synthetic/splits/sub02.csv")  # of the same folder
    integrity.check_inputs("train")


def test_where_a_shell_stands_between_dvc_and_the_stage_its_inputs_are_compared_as_well(checkout, reading):
    reading(FOLD, pid=2**22 + 2)
    flip(FOLD)
    with pytest.raises(InputError, match=FOLD):
        integrity.check_inputs("train")


@pytest.mark.parametrize("content", [None, "", '{"read": {"'])
def test_without_the_notes_of_dvc_an_earlier_run_of_the_stage_tells_what_it_reads(checkout, monkeypatch, content):
    monkeypatch.setenv("DVC_STAGE", "aggregate@synthetic")
    if content is not None:
        Path(".dvc/tmp").mkdir()
        Path(".dvc/tmp/rwlock").write_text(content)
    flip(SPLIT)
    integrity.check_inputs("aggregate")
    flip(FOLD)
    with pytest.raises(InputError, match=FOLD):
        integrity.check_inputs("aggregate")


def test_dvc_notes_what_a_stage_reads_before_it_starts(tmp_path):
    """The one file of DVC's own that is read, as DVC writes it."""
    say = "from pipeline.runs import integrity; print(sorted(integrity._read_by_dvc()))"
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  say:\n    cmd: {sys.executable} -c '{say}'\n    deps: [a.txt]\n")
    for command in ("init --no-scm --quiet", "repro --quiet"):
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command.split()],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert done.stdout == "['a.txt']\n", done.stderr


def a_stage(function, name="aggregate"):
    """A function as the command of a stage."""
    namespace = {"__spec__": types.SimpleNamespace(name=f"stages.{name}")}
    return stage(types.FunctionType(function.__code__, globals() | namespace, function.__name__))


def started(command: click.Command, environment: dict) -> str:
    result = CliRunner(env=environment).invoke(command, catch_exceptions=False)
    return f"{result.exit_code} {result.output}"


def works() -> None:
    click.echo("it ran")


def fails() -> None:
    raise KeyError("p_a")


def test_under_dvc_a_stage_does_not_start_on_a_damaged_input(checkout):
    dvc = {"DVC_STAGE": "aggregate@synthetic"}
    assert started(a_stage(works), dvc) == "0 it ran\n"
    assert Path(".resume/dvc.lock").exists()
    flip(FOLD)
    assert started(a_stage(works), dvc).startswith("1 Error: expected the content that dvc.lock names")


def test_by_hand_a_changed_input_is_used_and_named_only_where_the_stage_fails(checkout):
    none = {"DVC_STAGE": None}
    flip(FOLD)
    assert started(a_stage(works), none) == "0 it ran\n"
    assert FOLD in started(a_stage(fails), none)
    flip(FOLD)
    with pytest.raises(KeyError):
        started(a_stage(fails), none)


def test_a_table_that_a_stage_cannot_use_is_named(tmp_path):
    path = tmp_path / "fold.csv"
    path.write_text("clip,p_a\na,0.5\nb\n")
    with pytest.raises(InputError, match=r"fold\.csv:3: expected 2 cells, found 1.*dvc repro"):
        tables.read(path)
