"""STANet, the method of the paper: section 3 in `network`, what its attention looks at in `introspection`."""

from dataclasses import dataclass

TITLE = "STANet"
REMARK = ""
READS = "flow"


@dataclass(frozen=True)
class Settings:
    """Constants of the network and its training, the paper's for CASME II (section 4.1) where it says something.

    In params.yaml they stand at the top level, as `lambda`, `model` and `train`, whose keys have the same names.
    """

    lambda_: float = 1e-8
    spatial_attention: bool = True
    temporal_attention: bool = True
    pooling: int = 1
    regions: int = 3
    readout: str = "mean"
    epochs: int = 30
    lr: float = 1e-5
    weight_decay: float = 1e-4
    batch_size: int = 8
    precision: str = "float32"
    compile: bool = False
    crop: int = 168
    scales: tuple[float, ...] = (0.9, 1.0, 1.1)
    horizontal_flip: bool = False
    views: str = "all"
