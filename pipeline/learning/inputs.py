"""What a network reads of all clips of a study, read once by each process and shared by all folds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.learning.network import Network
from pipeline.storage import apexes, clip_store, tables
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.parts import File
from pipeline.storage.sources import Source


class Inputs(NamedTuple):
    """The input tensors of a study's clips."""

    clips: tuple[str, ...]
    """N names."""
    arrays: Tensor
    """(N, ...), of the type that the files have or that the network's `prepare` gives."""
    with_apex: frozenset[str]
    """Names of the clips whose apex is known."""
    without_apex: tuple[str, ...]
    """Databases none of whose clips has an apex."""
    frames: int
    """F, frames of an interpolated clip."""
    size: int
    """S, side of a frame in pixels."""
    source: dict[str, Any]
    """How the arrays were made: the attributes of the files, the same in all of them."""
    sha256: tuple[str, ...]
    """SHA-256 of each file that they come from."""


NOTHING = Inputs((), torch.empty(0), frozenset(), (), 0, 0, {}, ())
"""Placeholder for folds outside `held_out`, which read nothing."""


def read(
    network: Network,
    settings: Any,
    sources: Sequence[Source],
    clips: Sequence[str],
    locate: Callable[[File], Path] = File.checked,
) -> Inputs:
    """Read the input tensors of a study's clips.

    Parameters
    ----------
    network, settings
        The network and its settings.
    sources
        The files of each database of the study.
    clips
        Names of its clips.
    locate
        Returns where a file of the sources is, with the right content.

    Raises
    ------
    InputError
        A file is missing or damaged, or lacks a clip; or the arrays of several databases were made in different ways.
    """
    if strangers := [clip for clip in clips if not any(clip.startswith(source.prefix) for source in sources)]:
        named = ", ".join(source.database for source in sources)
        raise InputError(f"expected clips of {named}, found {', '.join(strangers[:5])}. Run `dvc repro`.")
    known = {clip: apex.frame for clip, apex in apexes.of_study(sources, locate).items() if apex.frame is not None}
    rows = _rows(sources, known, locate)
    arrays = torch.empty(0)
    made: list[dict[str, Any]] = []
    frames = size = 0
    for source in sources:
        numbers = [number for number, clip in enumerate(clips) if clip.startswith(source.prefix)]
        with clip_store.reading(locate(source.arrays)) as file:
            places = clip_store.rows_of(
                [clips[number].removeprefix(source.prefix) for number in numbers], clip_store.clip_names(file)
            )
            for number, place in zip(numbers, places, strict=True):
                clip = clip_store.values(file, network.array, place)
                # Flow lies between two frames; key-frame flow (2, S, S) has two channels and two frames.
                frames, size = len(clip) + (network.reads == "flow"), clip.shape[2]
                if row := rows.get(clips[number]):
                    clip = network.select(clip, row)
                tensor = torch.from_numpy(network.prepare(clip, settings))
                if not len(arrays):
                    arrays = torch.empty((len(clips), *tensor.shape), dtype=tensor.dtype)
                arrays[number] = tensor
            made.append({name: _plain(value) for name, value in file[network.array].attrs.items()})
    if any(one != made[0] for one in made):
        raise InputError(
            f"expected {network.reads} that was made in one way, found {' and '.join(map(str, made))}. Run `dvc repro`."
        )
    with_apex = frozenset(clip for clip in clips if clip in known)
    return Inputs(
        clips=tuple(clips),
        arrays=arrays,
        with_apex=with_apex,
        without_apex=apexes.databases_without(sources, with_apex),
        frames=frames,
        size=size,
        source=made[0],
        sha256=tuple(file.sha256 for source in sources for file in source.files),
    )


def _rows(sources: Sequence[Source], apexes: Mapping[str, int], locate: Callable[[File], Path]) -> dict[str, ClipRow]:
    """The row of recordings.csv of every clip, by its name in the study, with the apex that counts.

    It is empty where no recordings are read.
    """
    return {
        source.prefix + row.clip: row._replace(apex=apexes.get(source.prefix + row.clip))
        for source in sources
        if source.recordings
        for row in clip_rows(tables.read(locate(source.recordings), columns=ClipRow._fields))
    }


def _plain(value: Any) -> Any:
    """An attribute of HDF5 as Python's own number or text."""
    return value.item() if hasattr(value, "item") else value
