"""The features of a method: one file for each database, and one small manifest for each dataset that it is part of.

As with frames and flow (`parts`), nothing is copied into a dataset, and whatever depends on a manifest depends on the
features.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.storage import clip_store, parts
from pipeline.storage.parts import File


def manifest(features: Path) -> str:
    """Where a file of features lies, and its SHA-256, as JSON."""
    return json.dumps(asdict(parts.file_of(features)), indent=2) + "\n"


def read(manifests: Mapping[str, Path], clips: Sequence[str]) -> np.ndarray:
    """Features of the clips of a dataset.

    Parameters
    ----------
    manifests
        The manifest of each database that the dataset is made of, by its name.
    clips
        Names of N clips, as the dataset has them.

    Returns
    -------
    float32 (N, ...), in the order of `clips`.

    Raises
    ------
    InputError
        A manifest or a file is missing or is not what it should be, a clip has no features, or the databases have
        features of different shapes.
    """
    names: list[str] = []
    stacks: list[np.ndarray] = []
    for database, path in manifests.items():
        with clip_store.reading(_file(path).checked()) as file:
            prefix = parts.prefix(database, several=len(manifests) > 1)
            names += [prefix + clip for clip in clip_store.clip_names(file)]
            stacks.append(clip_store.values(file, "features"))
    if len({stack.shape[1:] for stack in stacks}) > 1:
        listed = ", ".join(f"{name}: {stack.shape[1:]}" for name, stack in zip(manifests, stacks, strict=True))
        raise InputError(f"expected features of one shape from all databases, found {listed}")
    return np.asarray(np.concatenate(stacks)[clip_store.rows_of(clips, names)])


def have(manifests: Iterable[Path], attribute: str) -> bool:
    """Whether something is noted beside the features of each of these manifests.

    Raises
    ------
    InputError
        A manifest or a file is missing or is not what it should be.
    """
    return all(_has(path, attribute) for path in manifests)


def _has(path: Path, attribute: str) -> bool:
    with clip_store.reading(_file(path).checked()) as file:
        return attribute in file["features"].attrs


def _file(path: Path) -> File:
    try:
        return File(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected the manifest of a file of features, found something else ({error}). Delete it and run "
            "`dvc repro`."
        ) from error
