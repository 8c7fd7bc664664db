"""RCN-A: a recurrent convolutional network with parameter-free attention over u, v and strain from onset to apex.

Xia, Peng, Khor, Feng, Zhao 2020, doi:10.1109/TIP.2020.3018222. Layers and training as in the authors' program
(github.com/xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec).
"""

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, BatchSize, Epochs, LearningRate, Share

TITLE = "RCN-A"
REMARK = "trained as in the authors' program"
READS = "key_flow"
NEEDS_APEX = True


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Settings of the network and its training."""

    dropout: Share = 0.5
    epochs: Epochs = 100
    lr: LearningRate = 5e-4
    momentum: Share = 0.9
    batch_size: BatchSize = 64
