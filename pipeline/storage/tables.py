"""The pipeline's own CSV tables, read back as they were written."""

import csv
from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from pipeline.errors import InputError

PROBABILITY = "p_"
"""What the name of a column of probabilities begins with."""


def read(source: Path | TextIO, numbers: Collection[str] = (), columns: Collection[str] = ()) -> pd.DataFrame:
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

    columns
        Columns that must be there.

    Returns
    -------
    The table. Empty cells are missing values; only they are.

    Raises
    ------
    InputError
        There is no such file, or it is no such table: a column is missing, a row has more or fewer cells than the
        header, or a cell is no finite number where one belongs.
    """
    name = str(source) if isinstance(source, Path) else "the table"
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source.read()
        rows = list(csv.reader(StringIO(text), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(name, f"a table as a stage writes it, found none ({error})") from error
    header = rows[0] if rows else []
    if missing := [column for column in columns if column not in header]:
        raise _damaged(name, f"the columns {', '.join(columns)}, found none called {', '.join(missing)}")
    for number, row in enumerate(rows, start=1):
        if row and len(row) != len(header):
            raise _damaged(f"{name}:{number}", f"{len(header)} cells, found {len(row)}")
    texts = [column for column in header if column not in numbers and not column.startswith(PROBABILITY)]
    table = pd.read_csv(StringIO(text), dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""])
    for column in table.columns.difference(texts):
        values = pd.to_numeric(table[column], errors="coerce")
        wrong = table[column][table[column].notna() & ~np.isfinite(values)]
        if len(wrong):
            raise _damaged(name, f"numbers in the column {column}, found {wrong.iloc[0]!r} in row {wrong.index[0] + 2}")
    return table


def _damaged(name: str, problem: str) -> InputError:
    return InputError(f"{name}: expected {problem}. Delete the file and run `dvc repro`, which makes it again.")
