"""Pixels: the pictures that key-frame networks read, handed to the classifier as they are.

A row to compare networks with. A network that is not better than this one has learnt nothing from the arrangement of
the pixels that a linear classifier does not see. There is no paper; the pictures are those of STSTNet.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared.settings import STRICT, Count
from pipeline.flow.pictures import pictures

READS = "key_flow"
TITLE = "Pixels"
REMARK = "u, v and strain from onset to apex, without a feature"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of the method."""

    size: Count = 28


def describe(flow: np.ndarray, settings: Settings) -> np.ndarray:
    """Return u, v and strain as small pictures.

    Parameters
    ----------
    flow : float32 (2, H, W)
        From the onset to the apex; u right, v down, pixels.
    settings
        The side of the pictures.

    Returns
    -------
    float32 (3, size, size), each channel from 0 to 255.
    """
    return pictures(flow, settings.size)
