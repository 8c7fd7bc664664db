"""Which frame of each clip counts as its apex, and how it was found: the table `apex.csv` of a database."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.errors import InputError
from pipeline.storage import tables
from pipeline.storage.parts import File
from pipeline.storage.sources import Source

COLUMNS = ("clip", "apex", "source")
NONE = "N/A: no apex"
"""Remark of a method that needs an apex, where the study has none."""
_STOOD_IN = {
    "": "the middle stands in for the apex of",
    "middle": "by the setting, the apex is the middle frame of",
    "estimated": "the apex was estimated in",
}


class Apex(NamedTuple):
    """What counts as the apex of a clip."""

    frame: int | None
    """Number of the recorded frame; None where the apex is not known."""
    source: str
    """`annotated`, `middle` or `estimated`; empty where the apex is not known."""


def table(apexes: Iterable[tuple[str, Apex]]) -> pd.DataFrame:
    """Return the table of clips and what counts as their apex."""
    rows = [(clip, "" if apex.frame is None else str(apex.frame), apex.source) for clip, apex in apexes]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read(path: Path) -> dict[str, Apex]:
    """Return what counts as the apex of each clip.

    Raises
    ------
    InputError
        The file is missing or is no such table.
    """
    found = {}
    for row in tables.read(path, columns=COLUMNS).fillna("").to_dict("records"):
        clip, frame, source = (str(row[name]) for name in COLUMNS)
        if not (frame.isdecimal() if source else not frame):
            raise InputError(
                f"{path}, clip {clip}: expected the number of a frame and its source, or neither, found {frame!r} and "
                f"{source!r}. Delete the file and run `dvc repro`."
            )
        found[clip] = Apex(int(frame) if source else None, source)
    return found


def of_study(sources: Sequence[Source], locate: Callable[[File], Path] = File.checked) -> dict[str, Apex]:
    """Return what counts as the apex of each clip of a study, by its name there; empty where nothing says it."""
    return {
        source.prefix + clip: apex
        for source in sources
        if source.apex
        for clip, apex in read(locate(source.apex)).items()
    }


def databases_without(sources: Sequence[Source], known: Iterable[str]) -> tuple[str, ...]:
    """Return the databases none of whose clips is among those with a `known` apex."""
    clips = tuple(known)
    return tuple(source.database for source in sources if not any(clip.startswith(source.prefix) for clip in clips))


def remark(apexes: Iterable[Apex]) -> str:
    """Return what a reader of Table 1 must know of the apexes of a study's clips; empty where all are annotated."""
    count = Counter(apex.source for apex in apexes)
    return "; ".join(
        f"{words} {count[source]} of {count.total()} clips" for source, words in _STOOD_IN.items() if count[source]
    )
