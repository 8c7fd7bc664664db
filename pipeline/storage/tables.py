"""The pipeline's own CSV tables, read back as they were written."""

from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import TextIO

import pandas as pd

PROBABILITY = "p_"
"""What the name of a column of probabilities begins with."""


def read(source: Path | TextIO, numbers: Collection[str] = ()) -> pd.DataFrame:
    """A table whose columns are text, except probabilities and what the caller calls numbers.

    Names may look like numbers (a subject `007`, a class `1`) or like what pandas takes for an empty cell (a subject
    `NA`); a plain `read_csv` would turn them into something else. Which columns are numbers is for the caller to say:
    a list here would be part of what every training depends on.

    Parameters
    ----------
    source
        A CSV file that a stage wrote, or an open one.
    numbers
        Columns to compute with, besides those of probabilities; the table may lack some. Whole numbers without an
        empty cell become integers, others floats.

    Returns
    -------
    The table. Empty cells are missing values; only they are.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source.read()
    columns = pd.read_csv(StringIO(text), nrows=0).columns
    names = [name for name in columns if name not in numbers and not name.startswith(PROBABILITY)]
    return pd.read_csv(StringIO(text), dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=[""])
