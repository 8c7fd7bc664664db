"""CNN+LSTM: a CNN on five frames of a clip, and an LSTM over its features.

Kim, Baddar, Ro 2016, doi:10.1145/2964284.2967247. It shares with STANet the clips, the augmentation, the optimiser, and
the number of epochs: so many for the CNN, then as many for the LSTM. It computes in float32.
"""

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, Augmented, NotNegative, Positive

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
class Settings(Augmented):
    """Constants of both networks and of their training."""

    pooling: Positive = 2
    features: Positive = 64
    hidden: Positive = 64
    weights: Weights = Field(default_factory=Weights)
