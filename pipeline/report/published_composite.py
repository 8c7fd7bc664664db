"""Published figures on the MEGC 2019 composite, each with its protocol: the table published_composite.csv.

A figure whose epoch was chosen on the test subject is no estimate for other people; the table says of each whether it
was.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.storage import tables

FILE = Path(__file__).with_name("published_composite.csv")


@dataclass(frozen=True)
class Published:
    """One method on all clips, or on the part of one database."""

    method: str
    part: str
    """`full`, or the name of a database."""
    uf1: float
    uar: float | None
    """None where it was not published."""
    protocol: str
    epoch_on_test_subject: str
    """Whether the epoch was chosen on the test subject: begins with yes or no."""
    source: str


def published(file: Path = FILE) -> list[Published]:
    """All figures, in the order of the table."""
    table = tables.read(file, numbers=("uf1", "uar"))
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [Published(**{str(key): value for key, value in row.items()}) for row in rows]
