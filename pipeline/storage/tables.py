"""The pipeline's own CSV tables, read back as they were written."""

from pathlib import Path
from typing import TextIO

import pandas as pd

_TEXT = dict.fromkeys(("clip", "subject", "label", "role", "predicted", "frames"), str)


def read(source: Path | TextIO) -> pd.DataFrame:
    """A table with its names as text.

    Names may look like numbers (a subject `007`, a class `1`) or like what pandas takes for an empty cell (a subject
    `NA`); a plain `read_csv` would turn them into something else.

    Parameters
    ----------
    source
        A CSV file that a stage wrote, or an open one.
    """
    return pd.read_csv(source, dtype=_TEXT, keep_default_na=False, na_values=[""])
