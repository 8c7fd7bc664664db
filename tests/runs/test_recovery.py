"""dvc.lock and DVC's rwlock after a run that was interrupted while DVC wrote them."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.lock import Lock
from dvc.rwlock import RWLockFileCorruptedError, rwlock
from ruamel.yaml import YAML

from pipeline.__main__ import main
from pipeline.errors import InputError
from pipeline.runs import dvc_lock, recovery

LOCK, KEPT = Path("dvc.lock"), Path(".resume/dvc.lock")
RWLOCK = Path(".dvc/tmp/rwlock")
NAMES = ("synthesize", "index@casme", "train@casme-sub01", "report@casme", "train@smic-s01", "report@smic")


def entry(version: int, outs: int = 2) -> dict:
    """What DVC writes about a stage."""
    files = [{"path": f"data/{n}.h5", "hash": "md5", "md5": f"{version:031}{n}", "size": 10} for n in range(outs)]
    return {
        "cmd": "stages/python -m stages.train",
        "params": {"params.yaml": {"lambda": 1e-8, "epochs": version}},
        "outs": files,
    }


def written(entries: dict) -> str:
    """The file as DVC writes it."""
    yaml, text = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.dump({"schema": "2.0", "stages": entries}, text)
    return text.getvalue()


def read(path: Path = LOCK) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text())["stages"]


BEFORE = {name: entry(1) for name in NAMES}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout in which every stage ran once; git knows nothing of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    LOCK.write_text(written(BEFORE))
    dvc_lock.keep()
    return tmp_path


@pytest.mark.parametrize(
    "stage",
    [
        "report@smic",
        pytest.param("train@casme-sub01", marks=pytest.mark.whole_run),
        pytest.param("train@smic-s02", marks=pytest.mark.whole_run),
    ],
)
def test_wherever_dvc_is_stopped_no_other_entry_is_lost(checkout, stage):
    """DVC writes the file with one entry changed, or one more, and is stopped after any number of bytes.

    That entry may be incomplete, for which DVC makes the stage again; never another one.
    """
    after = BEFORE | {stage: entry(2)}
    text = written(after)
    ends = [match.end() for match in re.finditer("\n", text)]  # where what is left is valid
    for size in [0, *ends[::4], *(end - 3 for end in ends[1::9]), len(text)]:
        LOCK.write_text(text[:size])
        recovery.recover()
        found = read()
        assert {name: found[name] for name in NAMES if name != stage} == {
            name: BEFORE[name] for name in NAMES if name != stage
        }, size
        assert recovery.recover() == []
        KEPT.write_text(written(BEFORE))


def test_a_mended_file_has_the_bytes_that_dvc_writes(checkout):
    text = LOCK.read_text()
    LOCK.write_text(text[: len(text) // 2 + 5])
    [done] = recovery.recover()
    assert LOCK.read_text() == text
    assert done.startswith("dvc.lock was damaged: ") and "Its entries were put back" in done
    assert Path(".resume/dvc.lock.damaged").read_text() == text[: len(text) // 2 + 5]


def test_bytes_in_the_middle_that_are_not_text_bring_the_copy_back(checkout):
    content = written({name: entry(2) for name in NAMES}).encode()
    place = content.index(b"report@casme")
    for wrong in (b"\0" * 100, b"\xff" * 100, b"\xff"):
        LOCK.write_bytes(content[:place] + wrong + content[place + len(wrong) :])
        assert recovery.recover() and read() == BEFORE


@pytest.mark.parametrize("copy", [None, "schema: '2.0'\nstages:\n  cut", written({"report@smic": entry(3)})])
def test_what_git_has_comes_back_as_well(checkout, copy):
    """The copy may be older than a version that git has brought, or damaged itself."""
    for command in ("init --quiet", "add dvc.lock"):
        subprocess.run(["git", *command.split()], check=True)
    KEPT.unlink()
    if copy:
        KEPT.write_text(copy)
    LOCK.write_text("schema: '2")
    assert recovery.recover()
    assert read() == BEFORE | ({"report@smic": entry(3)} if copy and "report" in copy else {})


def test_an_entry_that_was_cut_never_replaces_the_one_that_git_has(checkout):
    """The copy is older than the entry: a valid file ends within it."""
    newer = BEFORE | {"train@smic-s02": entry(2)}
    LOCK.write_text(written(newer))
    for command in ("init --quiet", "add dvc.lock"):
        subprocess.run(["git", *command.split()], check=True)
    text = written({"train@smic-s02": entry(2)} | BEFORE)
    for end in re.finditer("\n", text[: text.index("  synthesize")]):
        LOCK.write_text(text[: end.end()])
        KEPT.write_text(written(BEFORE))
        recovery.recover()
        assert read() == newer


def test_a_file_that_nothing_can_replace_is_moved_away(checkout):
    KEPT.unlink()
    LOCK.write_text("schema: '2")
    [done] = recovery.recover()
    assert "it was removed; `dvc repro` restores what its run cache has" in done
    assert not LOCK.exists() and Path(".resume/dvc.lock.damaged").read_text() == "schema: '2"
    assert recovery.recover() == []


def test_a_shorter_version_that_git_has_is_left_alone(checkout):
    subprocess.run(["git", "init", "--quiet"], check=True)
    shorter = written({name: BEFORE[name] for name in NAMES[:3]})
    LOCK.write_text(shorter)
    subprocess.run(["git", "add", "dvc.lock"], check=True)
    assert recovery.recover() == [] and LOCK.read_text() == shorter


def test_entries_that_dvc_lost_without_a_word_come_back(checkout):
    """A cut may leave a valid file: DVC goes on with it, and appends what it runs."""
    partial = BEFORE["index@casme"] | {"outs": BEFORE["index@casme"]["outs"][:1]}
    LOCK.write_text(written({"synthesize": entry(2), "index@casme": partial, "report@casme": entry(2)}))
    dvc_lock.keep()
    [done] = recovery.recover()
    assert "it lacks outputs of index@casme, report@smic, train@casme-sub01, train@smic-s01. " in done
    assert read() == BEFORE | {"synthesize": entry(2), "report@casme": entry(2)}


def test_a_stage_that_git_has_without_stays_away(checkout):
    subprocess.run(["git", "init", "--quiet"], check=True)
    fewer = {name: BEFORE[name] for name in NAMES if name != "train@casme-sub01"}
    LOCK.write_text(written(fewer))
    subprocess.run(["git", "add", "dvc.lock"], check=True)
    assert recovery.recover() == [] and read() == fewer
    LOCK.write_text(written(fewer | {"report@smic": entry(2)}))
    assert recovery.recover() == [] and read()["report@smic"] == entry(2)


def test_a_cut_off_file_never_replaces_the_copy(checkout):
    text = LOCK.read_text()
    for size in range(0, len(text), 7):
        LOCK.write_text(text[:size])
        dvc_lock.keep()
        assert KEPT.read_text() == text, size


def test_a_new_version_replaces_the_copy(checkout):
    LOCK.write_text(written(BEFORE | {"report@casme": entry(2)}))
    dvc_lock.keep()
    assert KEPT.read_text() == LOCK.read_text()


def test_a_copy_of_the_checkout_keeps_nothing_in_the_folder_it_borrows(checkout, tmp_path_factory, monkeypatch):
    copy = tmp_path_factory.mktemp("copy")
    (copy / ".resume").symlink_to(checkout / ".resume")
    monkeypatch.chdir(copy)
    LOCK.write_text(written({"synthesize": entry(5)}))
    dvc_lock.keep()
    assert read(KEPT) == BEFORE


def test_marks_of_a_merge_are_for_a_person(checkout):
    text = LOCK.read_text() + "<<<<<<< HEAD\n=======\n>>>>>>> other\n"
    LOCK.write_text(text)
    with pytest.raises(InputError, match="expected a file without marks of a merge"):
        recovery.recover()
    assert LOCK.read_text() == text


def test_a_file_that_dvc_is_writing_is_left_alone(checkout, monkeypatch):
    monkeypatch.setattr(recovery, "_PATIENCE", 0.1)
    LOCK.write_text("schema")
    with Lock(".dvc/tmp/lock"), pytest.raises(InputError, match=f"DVC is at work .process {os.getpid()}"):
        recovery.recover()
    assert LOCK.read_text() == "schema"
    assert recovery.recover()


def test_every_command_recovers_and_says_so(checkout):
    LOCK.write_text("schema: '2.0'\nstages:\n  synth")
    result = CliRunner().invoke(main, ["use", "nothing"])
    assert "dvc.lock was damaged" in result.stderr and read() == BEFORE
    result = CliRunner().invoke(main, ["recover"])
    assert (result.exit_code, result.output) == (0, "dvc.lock and DVC's rwlock are whole\n")


def test_a_folder_without_dvc_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LOCK.write_text("x")
    assert recovery.recover() == [] and list(tmp_path.iterdir()) == [tmp_path / "dvc.lock"]


# --- rwlock ---------------------------------------------------------------------------------------------------------


def held_by(pid: int) -> str:
    return json.dumps({"write": {"data/a": {"pid": pid, "cmd": "dvc repro"}}, "read": {}})


def dvc_takes_the_rwlock() -> None:
    from dvc.fs import LocalFileSystem

    with rwlock(str(RWLOCK.parent.absolute()), LocalFileSystem(), "dvc repro", [], ["data/a"], False):
        pass


@pytest.mark.parametrize("size", [0, 1, 20, 45])
def test_the_damaged_rwlock_of_a_dead_process_is_removed(checkout, size):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    RWLOCK.write_text(held_by(process.pid)[:size])
    with pytest.raises(RWLockFileCorruptedError):
        dvc_takes_the_rwlock()
    assert recovery.recover() == [".dvc/tmp/rwlock was damaged by a process that has exited, and was removed"]
    dvc_takes_the_rwlock()


def test_the_damaged_rwlock_of_a_living_dvc_is_never_removed(checkout):
    RWLOCK.write_text("{")
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc"])
    try:
        with pytest.raises(InputError, match=f"process {living.pid}"):
            recovery.recover()
        assert RWLOCK.exists()
    finally:
        living.kill()
        living.wait()
    assert recovery.recover()


def test_a_whole_rwlock_is_left_alone(checkout):
    RWLOCK.write_text(held_by(1))
    assert recovery.recover() == [] and RWLOCK.read_text() == held_by(1)
