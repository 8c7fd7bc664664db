"""What a method of Table 1 reads of one database: where the file lies, and its hash.

Nothing is copied into a dataset. A small manifest for each method and database names the file, and whatever depends on
the manifest depends on what is in the file.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.storage.parts import File, prefix


@dataclass(frozen=True)
class Source:
    """The files of one database that a method reads."""

    database: str
    prefix: str
    """Stands before the database's clip and subject names in the study; empty where it is the only one."""
    arrays: File
    """Features, or the arrays that a network reads."""
    recordings: File | None
    """recordings.csv, for a network that selects frames by the apex."""
    apex: File | None = None
    """apex.csv, for a method that needs the apex."""

    @property
    def files(self) -> tuple[File, ...]:
        """All of them."""
        return tuple(file for file in (self.arrays, self.recordings, self.apex) if file is not None)


def manifest(arrays: File, recordings: File | None = None, apex: File | None = None) -> str:
    """Return the content of a manifest."""
    files = {"arrays": arrays, "recordings": recordings, "apex": apex}
    return json.dumps({name: file and asdict(file) for name, file in files.items()}, indent=2) + "\n"


def read(manifests: Mapping[str, Path]) -> list[Source]:
    """Return the sources from the manifest of each database of a study.

    Raises
    ------
    InputError
        A manifest is missing or damaged.
    """
    sources = []
    for database, path in manifests.items():
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            sources.append(_source(database, prefix(database, several=len(manifests) > 1), facts))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: expected the manifest of what a method reads, found something else ({error}). Delete it and "
                "run `dvc repro`, which makes it again."
            ) from error
    return sources


def as_text(sources: Iterable[Source]) -> str:
    """Return sources as text, to be sent to another machine."""
    return json.dumps([asdict(source) for source in sources])


def parse(text: str) -> list[Source]:
    """Return the sources from `as_text`."""
    return [_source(facts["database"], facts["prefix"], facts) for facts in json.loads(text)]


def _source(database: str, prefix: str, facts: Mapping[str, Any]) -> Source:
    recordings, apex = (facts[name] and File(**facts[name]) for name in ("recordings", "apex"))
    return Source(database, prefix, File(**facts["arrays"]), recordings, apex)
