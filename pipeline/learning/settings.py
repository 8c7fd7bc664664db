"""Types of the settings that networks have in params.yaml, and how strictly they are checked; needs no PyTorch."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Positive = Annotated[int, Field(ge=1, lt=2**31)]
NotNegative = Annotated[float, Field(ge=0, le=1e6)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
LearningRate = Annotated[float, Field(gt=0, le=1e3)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
Share = Annotated[float, Field(ge=0, lt=1)]
Crop = Annotated[int, Field(ge=32, le=2048)]
"""Side of a view in pixels."""
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=4)], ...], Field(min_length=1, max_length=32)]
Views = Literal["all", "random"]
