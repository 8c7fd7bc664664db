"""What the settings of all methods have in common: types, and how strictly they are checked."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Grid2 = tuple[Count, Count]
"""Rows, columns."""
Grid3 = tuple[Count, Count, Count]
"""Steps in time, rows, columns."""
Neighbours = Annotated[int, Field(ge=2, le=12)]
"""P of a binary pattern; 2^P bins."""
Mask = Literal[3, 5, 7, 9, 11, 13]
"""W of a one-dimensional pattern; 2^(W - 1) bins."""
