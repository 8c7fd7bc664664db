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
    def run(last: int | None = None, kept: str = KEPT, root: Path = study.folder, network: str = "stanet"):
        fake = FakeWorker(last)
        [job] = study.jobs(epochs=4, subjects=["s1"], network=network)
        monkeypatch.setattr(worker, "get_worker", lambda: fake)
        text = job.params, job.network, job.fold, job.classes, job.split, job.sources
        given = *text, str(root), {}, "topic", kept
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
    assert not list((study.folder / KEPT).rglob("*.part"))


@pytest.mark.parametrize("last", [1, 3])
def test_another_network_goes_on_in_the_phase_in_which_it_was_interrupted(study, train, last):
    whole, epochs = train(kept="", network="cnn_lstm")
    assert epochs == [1, 2, 3, 4]  # two of the CNN, two of the LSTM
    kept = ".resume/train_cnn_lstm@synthetic-s1"
    assert train(last=last, kept=kept, network="cnn_lstm") == (None, epochs[:last])
    again, rest = train(kept=kept, network="cnn_lstm")
    assert again == whole and rest and set(rest) < set(epochs) and rest[-1] == epochs[-1]
    assert not list((study.folder / kept).rglob("*.part"))


def test_a_worker_that_does_not_reach_the_checkout_keeps_nothing(study, train, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_inputs", lambda *given, found=worker._inputs: found(*given[:-1], study.folder))
    _, epochs = train(root=tmp_path / "elsewhere")
    assert len(epochs) == 4 and not (tmp_path / "elsewhere").exists()


def test_a_fold_that_another_process_trains_here_is_one_clear_error(study, train):
    with resume.resumable(study.folder / KEPT, "other"), pytest.raises(InputError, match="another process"):
        train()
