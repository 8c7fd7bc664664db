"""Types of the settings that networks have in params.yaml, and how strictly they are checked; needs no PyTorch."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Positive = Annotated[int, Field(ge=1, lt=2**31)]
NotNegative = Annotated[float, Field(ge=0, le=1e6)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
LearningRate = Annotated[float, Field(gt=0, le=1e3)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
Crop = Annotated[int, Field(ge=32, le=2048)]
"""Side of a view in pixels."""
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=4)], ...], Field(min_length=1, max_length=32)]
Views = Literal["all", "random"]


@dataclass(frozen=True, config=STRICT)
class Augmented:
    """Settings of a training whose clips are shown in views; defaults of the paper for CASME II (section 4.1)."""

    epochs: Epochs = 30
    lr: LearningRate = 1e-5
    weight_decay: NotNegative = 1e-4
    batch_size: BatchSize = 8
    crop: Crop = 168
    scales: Scales = (0.9, 1.0, 1.1)
    horizontal_flip: bool = False
    views: Views = "all"
