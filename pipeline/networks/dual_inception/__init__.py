"""Dual-Inception: one inception network each for u and v of the flow from onset to apex.

Zhou, Mao, Xue 2019, doi:10.1109/FG.2019.8756579. Layers and training as in the reimplementation of the authors of
Off-TANet (github.com/ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet).
"""

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, BatchSize, Epochs, LearningRate

TITLE = "Dual-Inception"
REMARK = "layers and training as in the program of Off-TANet"
READS = "key_flow"
NEEDS_APEX = True


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Settings of the training."""

    epochs: Epochs = 501
    lr: LearningRate = 1e-3
    batch_size: BatchSize = 64
