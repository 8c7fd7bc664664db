"""Finished parts outlive the process that made them; damaged, stale and foreign ones are never used."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.storage.resume import Pieces, key, resumable

ROOT = Path(__file__).parents[2]
PARTS = 6


def array(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(3, 2, 8, 8)).astype(np.float16)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(folder: Path, numbers=range(PARTS)) -> Path:
    """The folder of a run under the key "k" that ended after some parts."""
    with pytest.raises(RuntimeError), resumable(folder, "k") as parts:
        for number in numbers:
            parts.save(number, array(number))
        raise RuntimeError
    return folder / "k"


def test_parts_are_kept_when_the_run_fails_and_removed_when_it_ends_well(tmp_path):
    kept = interrupted(tmp_path, [0, 2])
    assert names(kept) == ["000000.part", "000002.part"]
    with resumable(tmp_path, "k") as parts:
        assert parts.finished == {0, 2} and not parts.damaged
        for number in parts.finished:
            np.testing.assert_array_equal(parts.load(number), array(number))
            assert parts.load(number).dtype == np.float16
    assert names(tmp_path) == ["lock"]


def test_parts_under_another_key_are_neither_used_nor_kept(tmp_path):
    kept = interrupted(tmp_path)
    with pytest.raises(RuntimeError), resumable(tmp_path, "other") as parts:
        assert not parts.finished and not kept.exists()
        raise RuntimeError
    assert names(tmp_path) == ["lock", "other"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: bytes(len(content)),
    ],
)
def test_a_damaged_part_is_named_and_made_again(tmp_path, damage):
    kept = interrupted(tmp_path)
    path = kept / "000003.part"
    path.write_bytes(damage(path.read_bytes()))
    with resumable(tmp_path, "k") as parts:
        assert parts.damaged == [path]
        assert parts.finished == {0, 1, 2, 4, 5}
        assert not path.exists()


def test_what_was_never_finished_is_removed_without_a_word(tmp_path):
    kept = interrupted(tmp_path)
    (kept / "tmpabcdef").write_bytes(b"half")
    with resumable(tmp_path, "k") as parts:
        assert len(parts.finished) == PARTS and not parts.damaged
        assert "tmpabcdef" not in names(kept)


def test_a_part_that_disappears_during_the_run_is_an_error(tmp_path):
    kept = interrupted(tmp_path)
    with pytest.raises(InputError, match=r"000001\.part was changed or removed"), resumable(tmp_path, "k") as parts:
        (kept / "000001.part").unlink()
        parts.load(1)


def test_a_full_disk_is_one_clear_error_and_what_was_finished_is_kept(tmp_path, monkeypatch):
    parts = Pieces(tmp_path)
    parts.save(0, array(0))

    def full(self, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"000001\.part: No space left.*kept.*free disk space"):
        parts.save(1, array(1))
    assert names(tmp_path) == ["000000.part"]


def test_the_key_tells_every_fact_and_every_file_apart(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("a")
    second.write_text("b")
    facts = {"method": "dis", "settings": {"stride": 2}}
    keys = [
        key(facts, [first, second]),
        key(facts, [second, first]),
        key(facts, [first]),
        key(facts | {"method": "farneback"}, [first, second]),
        key({"method": "dis", "settings": {"stride": 3}}, [first, second]),
    ]
    first.write_text("ab")
    keys.append(key(facts, [first, second]))
    assert len(set(keys)) == len(keys) and all(len(name) == 64 for name in keys)
    assert key(dict(reversed(facts.items())), [first, second]) == keys[-1]


# Several processes. `made` records what each of them made.

CHILD = """
import sys, time
from pathlib import Path
from pipeline.storage.resume import resumable
from tests.storage.test_resume import PARTS, array

folder, made = Path(sys.argv[1]), Path(sys.argv[2])
with resumable(folder, "k") as parts:
    print("at work", flush=True)
    for number in range(PARTS):
        if number not in parts.finished:
            time.sleep(float(sys.argv[3]))
            parts.save(number, array(number))
            with made.open("a") as stream:
                stream.write(f"{number}\\n")
    assert all((parts.load(number) == array(number)).all() for number in range(PARTS))
print("done")
"""


def start(folder: Path, made: Path, pause: float = 0.0) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(folder), str(made), str(pause)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_after_kill_9_the_next_run_makes_only_what_is_missing(tmp_path):
    folder, made = tmp_path / "state", tmp_path / "made"
    process = start(folder, made, 0.2)
    while not (made.exists() and len(made.read_text().split()) == 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(folder / "k") == ["000000.part", "000001.part", "000002.part"]
    output, errors = start(folder, made).communicate()
    assert "done" in output, errors
    assert made.read_text().split() == ["0", "1", "2", "3", "4", "5"]
    assert names(folder) == ["lock"]


def test_a_second_process_is_refused_while_the_first_one_is_at_work(tmp_path):
    folder, made = tmp_path / "state", tmp_path / "made"
    first = start(folder, made, 0.3)
    assert first.stdout.readline() == "at work\n"
    _, errors = start(folder, made).communicate()
    assert f"another process is at work on the same result (process {first.pid})" in errors
    output, errors = first.communicate()
    assert "done" in output, errors
    assert made.read_text().split() == ["0", "1", "2", "3", "4", "5"]
    assert "done" in start(folder, made).communicate()[0]


def _save_again_and_again(folder: Path, offset: int) -> None:
    parts = Pieces.__new__(Pieces)  # a process that the lock did not keep out
    parts._folder = folder
    for turn in range(100):
        parts.save((turn + offset) % 3, np.full((64, 64), turn))


def test_without_the_lock_a_reader_still_sees_whole_parts_only(tmp_path):
    parts = Pieces(tmp_path)
    for number in range(3):
        parts.save(number, np.zeros((64, 64)))
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_save_again_and_again, args=(tmp_path, offset)) for offset in range(2)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        for number in range(3):
            assert len(np.unique(parts.load(number))) == 1
            reads += 1
    assert reads > 3 and [writer.exitcode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["000000.part", "000001.part", "000002.part"]
