"""STSTNet: three shallow streams over u, v and strain of the flow from onset to apex.

Liong, Gan, See, Khor, Huang 2019, doi:10.1109/FG.2019.8756567. Training as in the authors' PyTorch program
(github.com/christy1206/STSTNet, main.py).
"""

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, BatchSize, Epochs, LearningRate, Share

TITLE = "STSTNet"
REMARK = "trained as in the authors' PyTorch program"
READS = "key_flow"
NEEDS_APEX = True


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Settings of the network and its training."""

    dropout: Share = 0.5
    epochs: Epochs = 800
    lr: LearningRate = 5e-5
    batch_size: BatchSize = 256
