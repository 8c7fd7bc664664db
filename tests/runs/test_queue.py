"""Folds on a Dask cluster whose scheduler and workers are processes in folders of their own."""

import contextlib
import os
import shutil
import signal
import socket
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import paths, trainings, waiting
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs
from pipeline.params import parse_params
from pipeline.runs import queue, worker
from pipeline.runs.queue import Job, Shared
from pipeline.storage import apexes, clip_store, sources
from pipeline.storage.apexes import Apex
from pipeline.storage.digests import sha256
from pipeline.storage.parts import File
from pipeline.storage.sources import Source
from tests.forked import Program
from tests.tiny import shrink

pytestmark = pytest.mark.whole_run  # clusters take minutes to start and stop

ROOT = Path(__file__).parents[2]
CLASSES = ["negative", "positive"]
SUBJECTS = ["s1", "s2", "s3"]
PATIENCE = 120  # seconds in which a process must have done what it is asked for, on a busy machine, too


class Study:
    """Random flow and frames of nine clips, and their folds for two networks."""

    def __init__(self, folder: Path) -> None:
        rows = [(f"{subject}/{n}", subject, CLASSES[n % 2]) for subject in SUBJECTS for n in range(3)]
        table = pd.DataFrame(rows, columns=["clip", "subject", "label"])
        self.folder, self.flow = folder, folder / "flow.h5"
        rng = np.random.default_rng(0)
        fields = rng.normal(size=(len(table), 3, 2, 64, 64)).astype(np.float16)
        clip_store.write_stack(self.flow, "flow", list(table["clip"]), fields)
        frames = rng.integers(0, 255, (len(table), 4, 64, 64, 3)).astype(np.uint8)
        clip_store.write_stack(folder / "frames.h5", "frames", list(table["clip"]), list(frames))
        recordings = table.assign(onset=1, apex=[3, 5, ""] * len(SUBJECTS), offset=9, frames="a")
        recordings.to_csv(folder / "recordings.csv", index=False)
        known = [Apex(3, "annotated"), Apex(5, "annotated"), Apex(None, "")] * len(SUBJECTS)
        apexes.table(zip(table["clip"], known, strict=True)).to_csv(folder / "apex.csv", index=False)
        shutil.copy(ROOT / "params.yaml", folder)
        changes = {"subjects": SUBJECTS, "resize": {"size": 64}, "model": {"pooling": 1}, "runtime": {"device": "cpu"}}
        cnn_lstm = {"features": 4, "hidden": 4, "crop": 56, "epochs": 2}
        changes |= {"networks": {"names": ["cnn_lstm"], "cnn_lstm": cnn_lstm}}
        shrink(folder / "params.yaml", changes | {"train": {"epochs": 3, "threads": 1, "augmentation": {"crop": 56}}})
        self.params = (folder / "params.yaml").read_text()
        self.splits = {subject: protocols.split(table, [subject]).to_csv(index=False) for subject in SUBJECTS}

    def sources(self, network):
        """What a network reads."""

        def file(name):
            return File(name, sha256(self.folder / name))

        if network == "stanet":
            return [Source("table", "", file("flow.h5"), None)]
        return [Source("table", "", file("frames.h5"), file("recordings.csv"), file("apex.csv"))]

    def jobs(self, epochs=3, subjects=SUBJECTS, network="stanet"):
        text = self.params.replace("epochs: 3 ", f"epochs: {epochs} ")
        files = sources.as_text(self.sources(network))
        return [
            Job(subject, network, subject, text, '["negative", "positive"]', self.splits[subject], files)
            for subject in subjects
        ]

    def shared(self, root=None):
        names = "learning/fold", "learning/training", "networks/stanet/network", "runs/worker"
        return Shared(root or self.folder, worker.environment(f"pipeline/{name}.py" for name in names))

    def alone(self, job):
        """Its files, trained in this process."""
        split = pd.DataFrame([line.split(",") for line in job.split.splitlines()])
        split = split[1:].set_axis(split.iloc[0], axis=1)
        made = trainings.training(parse_params(job.params, paths.PARAMS), job.network, job.fold, CLASSES, split)
        read = inputs.read(
            made.network,
            made.settings,
            self.sources(job.network),
            list(split["clip"]),
            lambda file: self.folder / file.path,
        )
        return tuple(fold.run(*made, read, torch.device("cpu")))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


class Cluster:
    """A scheduler, and workers that are started one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = []
        self.file = folder / "scheduler.json"
        (folder / "scheduler").mkdir()
        self.scheduler = self.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        until(self.file.exists)

    def worker(self, name, checkout=True):
        """Start a worker in a folder with a copy of the code."""
        folder = self.folder / name
        folder.mkdir()
        if checkout:
            shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
        options = "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder / "local")
        return lambda: self.start(name, "worker", "--name", name, *options)

    def start(self, name, command, *options):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        options = "--scheduler-file", str(self.file), *options
        process = Program(self.folder / name, environment, "dask", command, *options, log=self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    def client(self):
        return queue.running_cluster(str(self.file))

    def stop(self):
        for process in self.processes:
            process.kill()
            process.communicate()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.mark.parametrize(
    ("chosen", "crowded", "spinning"),
    [
        ({}, True, "0"),
        ({}, False, "3000"),
        ({"GOMP_SPINCOUNT": "70"}, True, "70"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, True, None),
    ],
)
def test_workers_that_are_crowded_do_not_spin_unless_the_user_wants_it(monkeypatch, chosen, crowded, spinning):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    waiting.spin_briefly()
    with queue.local_cluster(1, crowded) as client:
        assert list(client.run(os.environ.get, "GOMP_SPINCOUNT").values()) == [spinning]
        assert list(client.run(os.environ.get, "OMP_WAIT_POLICY").values()) == [chosen.get("OMP_WAIT_POLICY")]


class Watch:
    """The epochs that were reported, and something to do when the first one is."""

    def __init__(self, first=lambda: None):
        self.epochs = []
        self._first = first

    def __call__(self, name, epoch):
        self.epochs.append((name, epoch))
        if len(self.epochs) == 1:
            self._first()


def collect(client, jobs, shared, watch=None):
    return {job.name: outcome for job, outcome in queue.results(client, jobs, shared, watch or Watch())}


def test_a_fold_has_the_same_bytes_wherever_and_after_whatever_it_is_trained(cluster, study):
    """Also when its worker is killed in the middle, and the other one has to begin it anew."""
    workers = {name: cluster.worker(name)() for name in "ab"}
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=PATIENCE)

        def kill():
            busy = {name: keys for name, keys in client.processing().items() if keys}
            address = next(
                name for name, keys in busy.items() if any(key.startswith(watch.epochs[0][0]) for key in keys)
            )
            workers[client.scheduler_info()["workers"][address]["name"]].kill()

        watch = Watch(first=lambda: threading.Thread(target=kill).start())
        jobs = study.jobs(epochs=60)
        found = collect(client, jobs, study.shared(), watch)
        begun = watch.epochs[0][0]
    assert watch.epochs.count((begun, 1)) == 2
    assert sorted(process.poll() or 0 for process in workers.values()) == [-signal.SIGKILL, 0]
    assert found == {job.name: study.alone(job) for job in jobs}


def test_another_network_has_its_folds_trained_beside_those_of_stanet(cluster, study):
    """From files of its own, which a worker that cannot read them is sent, and with the epochs of both its phases."""
    for name in "ab":
        cluster.worker(name)()
    one, other = study.jobs(subjects=["s1"])[0], study.jobs(subjects=["s2"], network="cnn_lstm")[0]
    watch = Watch()
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        found = collect(client, [one, other], study.shared(), watch)
        elsewhere = study.shared(ElsewhereNothing(study.folder))
        again = study.jobs(subjects=["s3"], network="cnn_lstm")[0]
        found |= collect(client, [again], elsewhere)
    assert found == {job.name: study.alone(job) for job in (one, other, again)}
    assert [epoch for name, epoch in watch.epochs if name == "s2"] == [1, 2, 3, 4]


class ElsewhereNothing(type(Path())):
    """A folder that is not there on another machine."""

    def __str__(self):
        return "/nowhere"

    def __truediv__(self, name):
        return Path(*self.parts) / name


def test_flow_that_workers_cannot_read_is_sent_to_each_and_removed_again(cluster, study):
    for name in "ab":
        cluster.worker(name)()
    held = set()
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        jobs = study.jobs()
        found = {}
        for job, files in queue.results(client, jobs, study.shared(ElsewhereNothing(study.folder)), Watch()):
            found[job.name] = files
            held |= {path.relative_to(cluster.folder).parts[0] for path in cluster.folder.rglob("*.h5")}
        until(lambda: not list(cluster.folder.rglob("*.h5")))
    assert found == {job.name: study.alone(job) for job in jobs}
    assert held == {"a", "b"}


def test_flow_that_cannot_be_sent_is_one_clear_error(cluster, study, tmp_path):
    cluster.worker("a")()
    shared = study.shared(ElsewhereNothing(study.folder))
    with cluster.client() as client:
        client.wait_for_workers(1, timeout=PATIENCE)
        (tmp_path / "flow.h5").write_bytes(b"another flow")
        with pytest.raises(InputError, match=r"flow\.h5 was changed while the folds were trained"):
            collect(client, study.jobs(), shared._replace(root=ElsewhereNothing(tmp_path)))
        [folder] = client.run(lambda dask_worker: dask_worker.local_directory).values()
        (Path(folder) / f"{sha256(study.flow)}.h5").symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"cannot keep flow\.h5, which was sent to it.*No space left"):
            collect(client, study.jobs(), shared)


def test_flow_that_a_worker_has_lost_is_not_waited_for(cluster, study):
    start = cluster.worker("a")
    module = cluster.folder / "a/pipeline/runs/worker.py"
    module.write_text(module.read_text().replace(".write_bytes(self._content)", ".touch()"))
    start()
    shared = study.shared(ElsewhereNothing(study.folder))
    shared.environment.pop("pipeline/runs/worker.py")
    with cluster.client() as client, pytest.raises(InputError, match=r"sent there, in .*/a/local/.*; found none"):
        collect(client, study.jobs(), shared)


def test_a_fold_that_fails_does_not_stop_the_others(cluster, study):
    cluster.worker("a")()
    good, bad = study.jobs(subjects=["s1", "s2"])
    bad = bad._replace(classes='["negative"]')
    with cluster.client() as client:
        found = collect(client, [bad, good], study.shared())
    assert found["s1"] == study.alone(good)
    assert "'positive' is not in list" in str(found["s2"])
    assert "pipeline/learning/fold.py" in "".join(traceback.format_exception(found["s2"]))


def test_other_code_is_refused_by_name(cluster, study):
    start = cluster.worker("a")
    with (cluster.folder / "a/pipeline/networks/stanet/network.py").open("a") as module:
        module.write("# changed\n")
    start()
    with (
        cluster.client() as client,
        pytest.raises(InputError, match=r"/a: pipeline/networks/stanet/network\.py\. Bring them to"),
    ):
        collect(client, study.jobs(), study.shared())


def test_what_a_worker_has_loaded_counts_and_not_what_its_files_say_now(cluster, study):
    cluster.worker("a")()
    with cluster.client() as client:
        collect(client, study.jobs(subjects=["s1"]), study.shared())
        module = cluster.folder / "a/pipeline/networks/stanet/network.py"
        module.write_text(f"{module.read_text()}# changed\n")
        changed = worker.md5(module)
        shared = study.shared()
        with pytest.raises(InputError, match="stanet"):
            collect(
                client,
                study.jobs(),
                shared._replace(environment=shared.environment | {"pipeline/networks/stanet/network.py": changed}),
            )


def test_other_packages_are_refused_with_their_versions(cluster, study):
    cluster.worker("a")()
    shared = study.shared()
    shared = shared._replace(environment=shared.environment | {"torch": "1.0"})
    with cluster.client() as client, pytest.raises(InputError, match=r"torch 2\.\S+ instead of 1\.0"):
        collect(client, study.jobs(), shared)


def test_a_worker_without_the_code_is_one_clear_error(cluster, study):
    cluster.worker("a", checkout=False)()
    with cluster.client() as client, pytest.raises(InputError, match=r"No module named 'pipeline'.*Start workers in"):
        collect(client, study.jobs(), study.shared())


def test_a_lost_scheduler_is_one_clear_error(cluster, study):
    cluster.worker("a")()
    with cluster.client() as client, pytest.raises(InputError, match="connection to the scheduler was lost"):
        collect(client, study.jobs(epochs=100_000), study.shared(), Watch(first=cluster.scheduler.kill))


def test_a_queue_that_is_closed_leaves_the_workers_idle(cluster, study):
    cluster.worker("a")()
    endless = study.jobs(epochs=100_000)
    endless[0] = study.jobs()[0]
    with cluster.client() as client:
        with contextlib.closing(queue.results(client, endless, study.shared(), Watch())) as results:
            assert next(results)[0].name == "s1"
        until(lambda: client.run(lambda dask_worker: len(dask_worker.active_threads)).popitem()[1] == 0)
        assert collect(client, study.jobs(subjects=["s2"]), study.shared()).keys() == {"s2"}


@pytest.mark.parametrize(
    ("scheduler", "reason"),
    [
        ("tcp://127.0.0.1:9", "at tcp://127.0.0.1:9, but none answers"),
        ("", r"at an address, but none answers \(there is no such file, and an address has a port"),
        ("scheduler.json", r"at scheduler.json, but none answers \(there is no such file"),
        ("empty.json", r"at empty.json, but none answers \(the file is not one that a scheduler has written"),
        ("params.yaml", r"at params.yaml, but none answers \(the file is not one that a scheduler has written"),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_clear_error(monkeypatch, tmp_path, scheduler, reason):
    monkeypatch.chdir(tmp_path)
    Path("empty.json").write_text("{}")
    Path("params.yaml").write_text("seed: 0\n")
    monkeypatch.setattr(queue, "CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match=f"expected a Dask scheduler {reason}"), queue.running_cluster(scheduler):
        pass


def test_a_port_that_takes_connections_and_says_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(queue, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with (
            pytest.raises(InputError, match=f"expected a Dask scheduler at {address}, but none answers"),
            queue.running_cluster(address),
        ):
            pass
