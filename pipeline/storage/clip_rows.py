"""The rows of recordings.csv and clips.csv, one by one, with the types that their cells have."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd


class ClipRow(NamedTuple):
    """One clip."""

    clip: str
    subject: str
    label: str
    onset: int
    """Frame number, as are the others."""
    apex: int | None
    """None where it is not known."""
    offset: int
    frames: str
    """Folder of its frame files, relative to the folder of the database."""


def clip_rows(table: pd.DataFrame) -> Iterator[ClipRow]:
    """Rows of a table with these columns as `tables.read` gives it, in its order; an empty cell of `apex` is None."""
    for row in table.to_dict("records"):
        apex = row["apex"]
        yield ClipRow(
            clip=str(row["clip"]),
            subject=str(row["subject"]),
            label=str(row["label"]),
            onset=int(row["onset"]),
            apex=None if apex == "" or pd.isna(apex) else int(apex),
            offset=int(row["offset"]),
            frames=str(row["frames"]),
        )
