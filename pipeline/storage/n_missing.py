"""The column `n_missing` of recordings.csv and clips.csv: how many frames each clip lacks.

It exists where the study has a database whose clips may lack frames.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "n_missing"


def counts(table: "pd.DataFrame") -> dict[str, int]:
    """Return how many frames each clip of a table lacks, for those that lack any."""
    if COLUMN not in table:
        return {}
    numbers = zip(table["clip"], table[COLUMN].astype(int), strict=True)
    return {str(clip): number for clip, number in numbers if number}
