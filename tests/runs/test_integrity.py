"""What lies on disk is what dvc.lock says, or an error by name."""

import hashlib
import json
import os
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
CLIPS, SPLIT, FOLD = "data/synthetic/clips.csv", "data/synthetic/splits/sub01.csv", "results/synthetic/folds/sub01.csv"
RECORDINGS, NETWORK_FOLD = "data/synthetic/recordings.csv", "results/synthetic/cnn_lstm/folds/sub01.csv"


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
    contents |= {RECORDINGS: b"clip,apex\na,3\n", NETWORK_FOLD: b"clip,p_a\na,0.75\n"}
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
            "cmd": "task",
            "outs": [out(CLIPS, md5[CLIPS], 21), out("data/synthetic/splits", f"{folder}.dir", 7)],
        },
        "train@synthetic-sub01": {"cmd": "train", "outs": [out(FOLD, md5[FOLD], 16)]},
        "index@synthetic": {"cmd": "index", "outs": [out(RECORDINGS, md5[RECORDINGS], 14)]},
        "train_network@synthetic-cnn_lstm-sub01": {"cmd": "train", "outs": [out(NETWORK_FOLD, md5[NETWORK_FOLD], 16)]},
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
    integrity.check_inputs("aggregate", ["stanet"])
    code, said = verify()
    assert code == 0 and "6 objects in DVC's cache, 0 MB read\nNone is damaged" in said


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
    assert "6 objects" in verify()[1]


@pytest.mark.parametrize(
    ("script", "arguments", "file"),
    [
        ("aggregate", ["stanet"], FOLD),
        ("aggregate", ["stanet"], CLIPS),
        ("aggregate", ["cnn_lstm"], CLIPS),
        ("aggregate", ["cnn_lstm"], NETWORK_FOLD),
        ("report", [], CLIPS),
        ("train", ["stanet", "sub01"], SPLIT),
        ("train", ["cnn_lstm", "sub01"], SPLIT),
        ("inputs", ["synthetic", "synthetic", "cnn_lstm"], RECORDINGS),
        ("gather", ["synthetic"], RECORDINGS),
    ],
)
def test_a_damaged_input_is_named_before_the_stage_starts(checkout, script, arguments, file):
    flip(file)
    with pytest.raises(InputError, match=f"found another in:\n  {file}\n.*python -m pipeline verify"):
        integrity.check_inputs(script, arguments)


def test_what_a_stage_does_not_read_does_not_stop_it(checkout):
    flip(FOLD)
    integrity.check_inputs("train", ["stanet", "sub01"])
    integrity.check_inputs("aggregate", ["cnn_lstm"])
    flip(SPLIT)
    integrity.check_inputs("train", ["stanet", "sub02"])
    flip(RECORDINGS)
    integrity.check_inputs("inputs", ["synthetic", "synthetic", "fdm"], "comparator_inputs")


def a_stage(function, name="aggregate"):
    """A function as the command of a stage."""
    namespace = {"__spec__": types.SimpleNamespace(name=f"stages.{name}")}
    with_a_name = types.FunctionType(function.__code__, globals() | namespace, function.__name__)
    return stage(click.argument("network")(with_a_name))


def started(command: click.Command, environment: dict) -> str:
    result = CliRunner(env=environment).invoke(command, ["stanet"], catch_exceptions=False)
    return f"{result.exit_code} {result.output}"


def works(network: str) -> None:
    click.echo("it ran")


def fails(network: str) -> None:
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
