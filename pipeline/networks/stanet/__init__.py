"""STANet, the method of the paper: section 3 in `network`, what its attention looks at in `introspection`."""

from typing import Literal

from pydantic.dataclasses import dataclass

from pipeline.learning.settings import STRICT, Augmented, NotNegative, Positive

TITLE = "STANet"
REMARK = ""
READS = "flow"


@dataclass(frozen=True, config=STRICT)
class Settings(Augmented):
    """Constants of the network and its training.

    In params.yaml they stand at the top level, as `lambda`, `model` and `train`, whose keys have the same names.
    """

    lambda_: NotNegative = 1e-8
    spatial_attention: bool = True
    temporal_attention: bool = True
    pooling: Positive = 1
    regions: Positive = 3
    readout: Literal["last", "mean"] = "mean"
    precision: str = "float32"
    compile: bool = False
