"""Independent work, such as clips or folds, on all cores.

Every core does some of it, on one thread each, so that threads do not wait for one another and no byte depends on the
number of cores.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

STARTUP = 4.0
"""Seconds of work below which it is not worth to start processes, each of which imports everything anew."""

_work: Callable[[Any], Any] | None = None  # of a process that was started here


def results(work: Callable[[T], R], items: Sequence[T], workers: int | None = None) -> Generator[R]:
    """What `work` gives for each item, in their order.

    The first two items are done in this process, and all of them if the others would not take long. What one takes is
    seen from the second: the first one loads libraries, too. Whoever may stop before the last one closes the generator
    (`contextlib.closing`), and with it the processes.

    Parameters
    ----------
    work
        Computes on one thread. Other processes get it pickled, once each.
    items
        What is to be worked on.
    workers
        Processes at most; the cores that this one may use if it is None.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        A process was killed, most likely for want of memory.
    """
    rest, workers = items[2:], workers or _cores()
    yield from map(work, items[:1])
    start = time.process_time()
    yield from map(work, items[1:2])
    if min(workers, len(rest)) < 2 or (time.process_time() - start) * len(rest) < STARTUP:
        yield from map(work, rest)
        return
    # New processes instead of copies of this one, whose libraries may hold locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(rest)), context, _begin, (work,)) as pool:
        try:
            yield from pool.map(_done, rest)
        finally:
            pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(work: Callable[[Any], Any]) -> None:
    """Have this process end when the one that started it does, however that ends, and leave Ctrl-C to that one."""
    global _work
    _work = work

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=wait, daemon=True).start()


def _done(item: Any) -> Any:
    assert _work is not None
    return _work(item)
