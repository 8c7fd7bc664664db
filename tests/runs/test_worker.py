"""A fold on a worker of this machine keeps its epochs when it is interrupted."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline.errors import InputError
from pipeline.runs import worker
from pipeline.storage import resume
from tests.runs.test_queue import Study

KEPT = ".resume/train@synthetic-s1"


class Killed(BaseException):
    """In place of a signal."""


class FakeWorker:
    """What `train_fold` asks of Dask; dies when epoch `last` is through."""

    name = "a"
    local_directory = "/nowhere"

    def __init__(self, last: int | None = None) -> None:
        self.last, self.epochs = last, []
        self.state = SimpleNamespace(tasks={"key": SimpleNamespace(state="executing")})

    def get_current_task(self):
        return "key"

    def log_event(self, topic, event):
        self.epochs.append(event[1])
        if event[1] == self.last:
            raise Killed


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def train(study, monkeypatch):
    job, shared = study.jobs(epochs=4, subjects=["s1"])[0], study.shared()

    def run(last: int | None = None, kept: str = KEPT, root: Path = shared.root):
        fake = FakeWorker(last)
        monkeypatch.setattr(worker, "get_worker", lambda: fake)
        given = job.params, job.subject, job.classes, job.split, list(shared.manifests), str(root), {}, "topic", kept
        try:
            return tuple(worker.train_fold(*given)), fake.epochs
        except Killed:
            return None, fake.epochs

    threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(threads)


def test_it_goes_on_after_its_last_epoch_with_the_same_bytes(study, train):
    whole, epochs = train(kept="")
    assert len(epochs) == 4
    interrupted, before = train(last=epochs[1])
    assert interrupted is None and before == epochs[:2]
    again, rest = train()
    assert again == whole and rest and set(rest) < set(epochs) and rest[-1] == epochs[-1]
    assert not list((study.flow.parent / KEPT).rglob("*.part"))


def test_a_worker_that_does_not_reach_the_checkout_keeps_nothing(study, train, monkeypatch, tmp_path):
    monkeypatch.setattr(
        worker, "_flow", lambda manifests, clips, root, found=worker._flow: found(manifests, clips, study.flow.parent)
    )
    _, epochs = train(root=tmp_path / "elsewhere")
    assert len(epochs) == 4 and not (tmp_path / "elsewhere").exists()


def test_a_fold_that_another_process_trains_here_is_one_clear_error(study, train):
    with resume.resumable(study.flow.parent / KEPT, "other"), pytest.raises(InputError, match="another process"):
        train()
