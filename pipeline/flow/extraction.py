"""The flow of all clips of a dataset: in batches, each of which is kept at once, so that no interruption costs more.

The batches are part of the result: sums over another number of pairs may be split differently, which moves a network's
flow by its rounding (below 2e-4 px on a CPU, the tolerance of its golden test). They depend on the estimator and the
device alone, so that a run that is resumed ends with the bytes of one that was not interrupted.
"""

import inspect
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from pipeline.flow import estimators
from pipeline.flow.estimators import FlowEstimator
from pipeline.storage import clip_store, resume

T = TypeVar("T")


def code(estimator: FlowEstimator) -> list[Path]:
    """The modules that decide what is kept of a batch: all of the estimator's folder, as in dvc.yaml."""
    folder = Path(inspect.getfile(type(estimator))).parent
    shared = [Path(inspect.getfile(module)) for module in (estimators, clip_store, resume)]
    return [Path(__file__), *shared, *sorted(folder.rglob("*.py"))]


def key(frames: Path, estimator: FlowEstimator, clips_at_once: int) -> str:
    """Key of everything that the flow of the clips in the file `frames` depends on."""
    facts = {
        "settings": estimator.settings,
        "arithmetic": estimator.arithmetic,
        "numpy": np.__version__,
        "clips_at_once": clips_at_once,
    }
    return resume.key(facts, [frames, *code(estimator)])


def extract(
    frames: h5py.Dataset | np.ndarray,
    estimator: FlowEstimator,
    clips_at_once: int,
    pieces: resume.Pieces,
    report: Callable[[int], object] = lambda pairs: None,
) -> Generator[np.ndarray]:
    """Flow of each clip, in the order of the clips; batches that `pieces` holds are not estimated again.

    Whoever may stop before the last clip closes it (`contextlib.closing`), and with it the threads of a GPU's reading.
    Left to the garbage collector, they can be ended in the middle of the start of another thread, which then waits for
    itself.

    Half precision rounds a component of less than 1 px by at most 0.00024 px and one of less than 2 px by at most
    0.00049 px (2^-12 and 2^-11).

    Parameters
    ----------
    frames : uint8 (N, F, S, S, 3) RGB
    estimator
        On a GPU it works on one batch while the batch before is written and the one after is read.
    clips_at_once
        Clips per batch.
    pieces
        Where finished batches are kept.
    report
        Told the number of pairs of every batch that was estimated, once it is kept.

    Yields
    ------
    float16 (F - 1, 2, S, S): u right, v down, pixels between frames i and i + 1.
    """
    batches = [slice(start, start + clips_at_once) for start in range(0, len(frames), clips_at_once)]
    missing = (rows for number, rows in enumerate(batches) if number not in pieces.finished)
    with (
        closing(_next_to(estimator, (_read(frames, rows) for rows in missing))) as clips,
        closing(_next_to(estimator, (estimator.estimate_clips(batch) for batch in clips))) as estimated,
    ):
        for number in range(len(batches)):
            if number in pieces.finished:
                fields = pieces.load(number)
            else:
                fields = next(estimated).astype(np.float16)
                pieces.save(number, fields)
                report(fields.shape[0] * fields.shape[1])
            yield from fields


def _next_to(estimator: FlowEstimator, items: Generator[T]) -> Generator[T]:
    """The same items; made ahead where a GPU leaves the CPU time for it."""
    return ahead(items) if estimator.on_gpu else items


def _read(frames: h5py.Dataset | np.ndarray, rows: slice) -> np.ndarray:
    return clip_store.values(frames.parent, frames.name, rows) if isinstance(frames, h5py.Dataset) else frames[rows]


def pairs_kept(frames: h5py.Dataset | np.ndarray, clips_at_once: int, pieces: resume.Pieces) -> int:
    """Pairs of frames in the batches that `pieces` holds."""
    clips = sum(min(clips_at_once, len(frames) - number * clips_at_once) for number in pieces.finished)
    pairs: int = frames.shape[1] - 1  # of each
    return clips * pairs


def ahead(items: Iterable[T]) -> Generator[T]:
    """The same items, the next one in the making, in a thread, while the caller works on the one before.

    To be closed where it may not be exhausted, as `extract`.
    """
    iterator = iter(items)

    def following() -> list[T]:
        """The next item, or nothing at the end."""
        return list(islice(iterator, 1))

    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(following)
        while item := coming.result():
            coming = thread.submit(following)
            yield from item
