"""The features of all clips of a database, described side by side, each of which is kept at once."""

import inspect
import json
from collections.abc import Callable, Generator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from pipeline import comparators
from pipeline.comparators.protocol import side_by_side
from pipeline.comparators.shared.face_landmarks import LandmarkModel, model_of, regions_by_clip, regions_of
from pipeline.errors import InputError
from pipeline.learning import memory
from pipeline.storage import clip_store, resume


@dataclass(frozen=True)
class Landmarks:
    """Where the landmarks of the clips come from."""

    model: Path
    """File of the model; an empty one asks for none."""
    frames: Path
    """File with the frames of the clips, in the same rows as what is described: the first of each is looked at."""


@dataclass(frozen=True)
class Task:
    """What is to be described: a method, its settings, and the arrays of a database."""

    name: str
    settings: Mapping[str, Any]
    arrays: Path
    """File with the clips that the method reads, written by `clip_store.write_stack`."""
    landmarks: Landmarks | None = None
    """Where the landmarks come from that bound the regions of a method that has some; None: a grid."""

    @property
    def stack(self) -> str:
        """Name of the array in the file: `frames` or `flow`."""
        return "frames" if comparators.reads(self.name) == "frames" else "flow"

    def key(self) -> str:
        """Key of everything that a feature depends on."""
        facts = {"name": self.name, "settings": self.settings, "numpy": np.__version__, "opencv": cv2.__version__}
        room = Path(comparators.__file__).parent
        method = Path(inspect.getfile(import_module(f"{comparators.__name__}.{self.name}")))
        code = [Path(comparators.__file__), method, Path(__file__), *sorted((room / "shared").glob("*.py"))]
        model = [self.landmarks.model] if self.landmarks and comparators.has_regions(self.name) else []
        return resume.key(facts, [self.arrays, *model, *code])

    def model(self) -> LandmarkModel | None:
        """The model whose landmarks bound the regions of the method; None where it has none or a grid is wanted."""
        return model_of(self.landmarks.model) if self.landmarks and comparators.has_regions(self.name) else None

    def check_faces(self) -> None:
        """InputError that names every clip in whose first frame the model sees no face, if it is needed."""
        if self.landmarks is None or (model := self.model()) is None:
            return
        with clip_store.reading(self.landmarks.frames) as file:
            clips = enumerate(clip_store.clip_names(file))
            regions_by_clip(((clip, clip_store.values(file, "frames", row)) for row, clip in clips), model)

    def describe(self, row: int) -> np.ndarray:
        """The feature of the clip in one row of the file; InputError with the clip's name."""
        memory.keep_freed_memory()
        with clip_store.reading(self.arrays) as file, threadpool_limits(1):
            cv2.setNumThreads(1)
            try:
                clip, regions = clip_store.values(file, self.stack, row), self._regions(row)
                feature = comparators.describe(self.name, clip, regions=regions, **self.settings)
            except InputError as error:
                raise InputError(f"{self.arrays}, clip {clip_store.clip_names(file)[row]}: {error}") from error
            if not np.isfinite(feature).all():
                raise InputError(
                    f"{self.arrays}, clip {clip_store.clip_names(file)[row]}: expected finite features of {self.name}, "
                    "found NaN or infinity; its `describe` must say what such a clip is described by"
                )
        return feature

    def _regions(self, row: int) -> np.ndarray | None:
        if self.landmarks is None or (model := self.model()) is None:
            return None
        with clip_store.reading(self.landmarks.frames) as file:
            return regions_of(clip_store.values(file, "frames", row), model)


def features(
    task: Task, pieces: resume.Pieces, workers: int | None = None, report: Callable[[], object] = lambda: None
) -> Generator[np.ndarray]:
    """The feature of each clip, in the order of the file; those that `pieces` holds are not described again.

    Whoever may stop before the last clip closes it (`contextlib.closing`), and with it the processes.

    Parameters
    ----------
    task
        What is described.
    pieces
        Where finished features are kept.
    workers
        Processes at most; the cores that this one may use if it is None. How many there are changes no feature.
    report
        Called once for every clip that was described.

    Yields
    ------
    float32, of one shape.

    Raises
    ------
    InputError
        A clip cannot be described, two clips have features of different shapes, or a worker was killed.
    """
    with clip_store.reading(task.arrays) as file:
        clips = clip_store.clip_names(file)
    missing = [row for row in range(len(clips)) if row not in pieces.finished]
    shape: tuple[int, ...] | None = None
    with closing(side_by_side.results(task.describe, missing, workers)) as described:
        for row, clip in enumerate(clips):
            if row in pieces.finished:
                feature = pieces.load(row)
            else:
                try:
                    feature = next(described)
                except BrokenProcessPool as error:
                    raise InputError(
                        f"{task.name}: a process that described clips was killed, most likely for want of memory. What "
                        "was finished is kept: run again."
                    ) from error
                pieces.save(row, feature)
                report()
            shape = shape or feature.shape
            if feature.shape != shape:
                raise InputError(
                    f"{task.name}: expected features of one shape, found {feature.shape} of {clip} after {shape} of "
                    f"{clips[0]}; its `describe` must give the same shape for all clips of one size"
                )
            yield feature


def attributes(task: Task) -> dict[str, str | int | float]:
    """What is noted beside the features: the method, its settings, and the model of the landmarks, if it has one."""
    noted: dict[str, str | int | float] = {
        "method": task.name,
        "settings": json.dumps(task.settings, sort_keys=True),
    }
    model = task.model()
    return noted if model is None else noted | {comparators.LANDMARKS: model.sha256}
