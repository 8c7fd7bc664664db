"""The features of a method for the clips of a dataset, from one file for each database."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.storage import clip_store, sources


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
    for source in sources.read(manifests):
        with clip_store.reading(source.arrays.checked()) as file:
            names += [source.prefix + clip for clip in clip_store.clip_names(file)]
            stacks.append(clip_store.values(file, "features"))
    if len({stack.shape[1:] for stack in stacks}) > 1:
        listed = ", ".join(f"{name}: {stack.shape[1:]}" for name, stack in zip(manifests, stacks, strict=True))
        raise InputError(f"expected features of one shape from all databases, found {listed}")
    return np.asarray(np.concatenate(stacks)[clip_store.rows_of(clips, names)])


def have(manifests: Mapping[str, Path], attribute: str) -> bool:
    """Return whether something is noted beside the features of every database.

    Raises
    ------
    InputError
        A manifest or a file is missing or is not what it should be.
    """
    return all(_has(source.arrays.checked(), attribute) for source in sources.read(manifests))


def _has(features: Path, attribute: str) -> bool:
    with clip_store.reading(features) as file:
        return attribute in file["features"].attrs
