"""CNN+LSTM: a CNN on five frames of a clip, and an LSTM over its features.

Kim, Baddar, Ro 2016, doi:10.1145/2964284.2967247. It shares with STANet the clips, the augmentation, the optimiser, and
the number of epochs: so many for the CNN, then as many for the LSTM. It computes in float32.
"""

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.learning.settings import (
    STRICT,
    BatchSize,
    Crop,
    Epochs,
    LearningRate,
    NotNegative,
    Positive,
    Scales,
    Views,
)

TITLE = "CNN+LSTM"
REMARK = "the paper's states and objectives, formulas and constants chosen here"
READS = "frames"
NEEDS_APEX = True


@dataclass(frozen=True, config=STRICT)
class Weights:
    """Weight of each of the five objectives of the CNN."""

    class_error: NotNegative = 1.0
    class_spread: NotNegative = 0.1
    state_error: NotNegative = 1.0
    state_spread: NotNegative = 0.1
    state_continuity: NotNegative = 0.1


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of both networks and of their training."""

    pooling: Positive = 2
    features: Positive = 64
    hidden: Positive = 64
    weights: Weights = Field(default_factory=Weights)
    epochs: Epochs = 40
    lr: LearningRate = 1e-3
    weight_decay: NotNegative = 1e-4
    batch_size: BatchSize = 8
    crop: Crop = 168
    scales: Scales = (0.9, 1.0, 1.1)
    horizontal_flip: bool = False
    views: Views = "random"
