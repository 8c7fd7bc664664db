"""Independent work on all cores: in order, whatever ends a process."""

import multiprocessing
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool

import pandas as pd
import pytest

from pipeline.comparators.protocol import classification, description, side_by_side
from pipeline.errors import InputError
from pipeline.storage import clip_store
from pipeline.storage.resume import Pieces
from tests.comparators.test_description import CLIPS, FIELDS


@pytest.fixture(autouse=True)
def many_processes(monkeypatch):
    """Processes are started however little there is to do."""
    monkeypatch.setattr(side_by_side, "STARTUP", 0)


def where(item):
    return item, os.getpid()


def where_after_loading(item):
    end = time.process_time() + 0.3 * (item == 0)
    while time.process_time() < end:
        pass
    return where(item)


def die(item):
    """End another process at item 3, as the system does when memory runs out."""
    if item == 3 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_results_come_in_order_from_other_processes_but_the_first_two():
    items, processes = zip(*side_by_side.results(where, range(7), workers=2), strict=True)
    assert items == tuple(range(7))
    assert set(processes[:2]) == {os.getpid()} and os.getpid() not in processes[2:]
    assert 1 <= len(set(processes[2:])) <= 2


def test_little_work_is_done_here(monkeypatch):
    monkeypatch.setattr(side_by_side, "STARTUP", 60.0)
    assert {process for _, process in side_by_side.results(where, range(6), workers=2)} == {os.getpid()}
    assert list(side_by_side.results(where, [], workers=2)) == []


def test_what_the_first_item_takes_longer_starts_no_process(monkeypatch):
    """Classifiers load scikit-learn with their first fold, which takes longer than the other folds of a small study."""
    monkeypatch.setattr(side_by_side, "STARTUP", 0.2)
    assert {process for _, process in side_by_side.results(where_after_loading, range(6), workers=2)} == {os.getpid()}


def test_a_process_that_is_killed_ends_the_work():
    with pytest.raises(BrokenProcessPool):
        list(side_by_side.results(die, range(6), workers=2))


def test_clips_and_folds_say_that_a_process_was_killed(monkeypatch, tmp_path):
    def broken(work, items, workers=None):
        yield work(items[0])
        raise BrokenProcessPool

    monkeypatch.setattr(side_by_side, "results", broken)
    clip_store.write_stack(tmp_path / "flow.h5", "flow", CLIPS, FIELDS)
    task = description.Task("fdm", {"blocks": (2, 3, 3)}, tmp_path / "flow.h5")
    with pytest.raises(InputError, match=r"fdm: a process that described clips was killed.* is kept: run again"):
        list(description.features(task, Pieces(tmp_path / "kept")))
    assert len(Pieces(tmp_path / "kept").finished) == 1
    table = pd.DataFrame({"clip": list("abcd"), "subject": list("sstt"), "label": list("xyxy")})
    with pytest.raises(InputError, match=r"fdm: a process that classified clips was killed.*: run again"):
        classification.predict("fdm", FIELDS[:4, 0], table, {"s": ["s"], "t": ["t"]})
