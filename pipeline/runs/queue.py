"""Folds at a Dask cluster: sent as text, watched, and handed back as bytes in the order in which they finish."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from dask.typing import Key
from distributed import Client, Future, LocalCluster, as_completed
from distributed.comm.core import connect
from distributed.scheduler import KilledWorker
from distributed.security import Security

from pipeline import waiting
from pipeline.errors import InputError
from pipeline.runs import worker
from pipeline.runs.worker import InputMissing, OtherEnvironment
from pipeline.storage import sources
from pipeline.storage.parts import File

CONNECT_SECONDS = 20


class Job(NamedTuple):
    """A fold to train."""

    name: str
    """Another one for every job of a queue."""
    network: str
    fold: str
    params: str
    """Text of params.yaml."""
    classes: str
    """Text of classes.json."""
    split: str
    """Text of the split's table."""
    sources: str
    """What the network reads of each database, as `sources.as_text` writes it; paths relative to the checkout."""
    kept: str = ""
    """Folder for what its training has finished when it is interrupted, relative to the caller's checkout: for workers
    that reach it. Empty to keep nothing."""


class Shared(NamedTuple):
    """What all jobs of a queue have in common."""

    root: Path
    """The caller's checkout, absolute."""
    environment: Mapping[str, str]
    """As `worker.environment`: what a worker must have to give the right bytes."""


@contextmanager
def local_cluster(workers: int, crowded: bool = False) -> Iterator[Client]:
    """Worker processes on this machine, for nobody else (temporary TLS keys), that end with this process.

    Where they are `crowded`, with more threads than cores, a thread that waits for others gives its core away at once.
    Spinning takes it from the threads that are waited for: two folds side by side on two cores then take several times
    as long as one after the other.
    """
    with (
        waiting.sleeping_at_once() if crowded else nullcontext(),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,  # one fold at a time; PyTorch has its own threads
            memory_limit=0,  # Dask must not pause or end a worker whose fold needs memory
            dashboard_address="127.0.0.1:0",
            security=True,
            silence_logs=logging.ERROR,
            preload=["pipeline.runs.worker"],
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def running_cluster(scheduler: str) -> Iterator[Client]:
    """A cluster that runs already, by the address of its scheduler or the scheduler file.

    Raises
    ------
    InputError
        Nothing answers there.
    """
    try:
        address = _address(scheduler)
        # What is no scheduler may take the connection and never answer, for which a client waits for ever.
        asyncio.run(asyncio.wait_for(_greet(address), CONNECT_SECONDS))
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        reason = str(error) or "it took the connection and says nothing"
        raise InputError(
            f"expected a Dask scheduler at {scheduler or 'an address'}, but none answers ({reason}). "
            "Start one with `python -m dask scheduler`; docs/parallel.md shows how"
        ) from error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it has to say is said by an error here
    with client:
        yield client


def _address(scheduler: str) -> str:
    """Address of a scheduler, which may be named by its file."""
    path = Path(scheduler)
    if path.is_file():
        try:
            return str(json.loads(path.read_text())["address"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError("the file is not one that a scheduler has written") from error
    if ":" not in scheduler:
        raise ValueError("there is no such file, and an address has a port: tcp://host:8786")
    return scheduler


async def _greet(address: str) -> None:
    connection = await connect(address, **Security().get_connection_args("client"))
    await connection.close()


def results(
    client: Client, jobs: Sequence[Job], shared: Shared, watch: Callable[[str, int], None]
) -> Generator[tuple[Job, tuple[bytes, ...] | Exception]]:
    """Train all jobs; each comes back with the content of its files, or with the error that ended it.

    A job whose worker dies runs again on another one. Closing the iterator early cancels what is not finished.

    Parameters
    ----------
    client
        The connection to the cluster.
    jobs
        The folds to train.
    shared
        What is the same for all of them.
    watch
        Called with name and epoch of a job when an epoch is through, from another thread.

    Raises
    ------
    InputError
        A worker has other code or packages, or no space for what a network reads; such a file was changed; or the
        scheduler is lost.
    """
    topic = f"folds-{uuid4()}"
    by_key: dict[Key, Job] = {}
    sent: dict[str, str] = {}  # by the name of the plugin that sends it, the SHA-256 of a file
    after_sending: set[Key] = set()

    def submit(job: Job) -> "Future[Any]":
        key = f"{job.name}-{uuid4()}"
        by_key[key] = job
        if {file.sha256 for file in _files(job)} <= set(sent.values()):
            after_sending.add(key)
        return client.submit(
            _task(),
            *(job.params, job.network, job.fold, job.classes, job.split, job.sources),
            *(str(shared.root), dict(shared.environment), topic, job.kept),
            key=key,
        )

    client.subscribe_topic(topic, lambda event: watch(by_key[event[1][0]].name, event[1][1]))
    queue = as_completed(map(submit, jobs), with_results=True, raise_errors=False)
    try:
        for future, outcome in queue:
            job = by_key[future.key]
            if future.status == "finished":
                yield job, outcome
                continue
            if future.status != "error":
                raise InputError("the connection to the scheduler was lost. Does it still run?")
            error = future.exception()
            if not isinstance(error, InputMissing):
                yield job, _explained(error)
                continue
            if future.key in after_sending:  # it would stay missing
                listed = ", ".join(file.path for file in _files(job))
                raise InputError(
                    f"expected {listed}, which was sent there, in {error}; found none. Is this disk full? "
                    "`--local-directory` gives a worker another folder"
                )
            for file in _files(job):
                if file.sha256 not in sent.values():
                    name = f"{topic}-{len(sent)}"
                    _send(client, shared, file, name)
                    sent[name] = file.sha256
            queue.add(submit(job))
    finally:
        if client.status == "running":
            client.cancel(list(queue.futures))
            client.unsubscribe_topic(topic)
            for name in sent:
                client.unregister_worker_plugin(name)


def _files(job: Job) -> list[File]:
    """The files that the network of a job reads."""
    return [file for source in sources.parse(job.sources) for file in source.files]


def _send(client: Client, shared: Shared, file: File, name: str) -> None:
    """Send a file to all workers, also to those that join later, until the plugin with this name is removed."""
    content = (shared.root / file.path).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(f"{file.path} was changed while the folds were trained; run again")
    try:
        client.register_plugin(worker.SentFile(content, file.sha256), name=name)
    except OSError as error:
        client.unregister_worker_plugin(name)
        raise InputError(f"a worker cannot keep {file.path}, which was sent to it: {error}") from error


def _task() -> Callable[..., tuple[bytes, ...]]:
    """`worker.train_fold`, in a function that is sent as code: only the workers must be able to import it."""

    def train_there(*arguments: Any) -> tuple[bytes, ...]:
        from pipeline.runs import worker

        return tuple(worker.train_fold(*arguments))

    return train_there


def _explained(error: BaseException) -> Exception:
    """The error of a fold; raised instead where it would be the same for all of them."""
    if isinstance(error, OtherEnvironment):
        raise InputError(
            f"expected workers with the code and packages of this checkout, found others at {error}. "
            "Bring them to the same commit and requirements.txt, and start them again"
        ) from error
    if isinstance(error, ModuleNotFoundError):
        raise InputError(
            f"a worker cannot import what it needs ({error}). Start workers in a checkout of this repository, with "
            "its environment"
        ) from error
    if isinstance(error, KilledWorker):
        return InputError(
            f"its worker died {error.allowed_failures + 1} times; the last one was {error.last_worker}. Out of memory?"
        )
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
