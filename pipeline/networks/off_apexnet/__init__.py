"""OFF-ApexNet: one CNN each for u and v of the flow from onset to apex.

Gan, Liong, Yau, Huang, Tan 2019, doi:10.1016/j.image.2019.02.005. Layers and training as in the reimplementation of the
authors of Off-TANet (github.com/ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet).
"""

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, BatchSize, Epochs, LearningRate, Share

TITLE = "OFF-ApexNet"
REMARK = "layers and training as in the program of Off-TANet"
READS = "key_flow"
NEEDS_APEX = True


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Settings of the network and its training."""

    dropout: Share = 0.5
    epochs: Epochs = 3000
    lr: LearningRate = 1e-4
    batch_size: BatchSize = 64
