"""HIGO: histograms of image gradient orientation on three orthogonal planes.

Li, Hong, Moilanen, Huang, Pfister, Zhao, Pietikäinen 2018, doi:10.1109/TAFFC.2017.2667642, section 3.3: as a histogram
of oriented gradients, but every gradient has one vote, however long it is, so that illumination does not matter.

Open in the paper, chosen here: gradients are central differences of the neighbours; a gradient of length zero has no
orientation and no vote; the first bin begins at the first axis, so that a grey level that rises in time never shares a
bin with one that falls, however slowly, and a gradient between two bins has half a vote in each; the grid. The paper
magnifies motion beforehand, with a factor for each dataset; that is an option here and off by default, because no other
method does.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.comparators.shared.blocks import histograms
from pipeline.comparators.shared.eulerian_magnification import magnify
from pipeline.comparators.shared.grey import EQUAL, grey
from pipeline.comparators.shared.settings import STRICT, Grid3
from pipeline.errors import InputError

READS = "frames"
TITLE = "HIGO"
REMARK = "the paper's magnification of motion is a setting, off unless asked for"


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Constants of HIGO."""

    blocks: Grid3 = (2, 6, 6)
    bins: Annotated[int, Field(ge=2)] = 8
    """Over 360°."""
    planes: Annotated[tuple[Literal["xy", "xt", "yt"], ...], Field(min_length=1)] = ("xy", "xt", "yt")
    magnification: Annotated[float, Field(ge=0)] = 0.0
    """Factor of Eulerian magnification; 0: off."""


def describe(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Histograms of the orientation of gradients on each plane, per block.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3) RGB
    settings

    Returns
    -------
    float64 (blocks, planes, bins), each histogram summing to 1, or zeros where nothing changes along both axes.
    """
    if min(frames.shape[:3]) < 3:
        raise InputError(f"higo: expected at least 3 frames of 3 × 3 pixels, found frames {frames.shape}")
    volume = magnify(grey(frames), settings.magnification)
    gradient = {
        "x": volume[1:-1, 1:-1, 2:] - volume[1:-1, 1:-1, :-2],
        "y": volume[1:-1, 2:, 1:-1] - volume[1:-1, :-2, 1:-1],
        "t": volume[2:, 1:-1, 1:-1] - volume[:-2, 1:-1, 1:-1],
    }
    planes = []
    for first, second in settings.planes:
        along, across = gradient[first], gradient[second]
        voting = (np.abs(along) > EQUAL) | (np.abs(across) > EQUAL)
        position = np.round(np.arctan2(across, along) / (2 * np.pi) * settings.bins, 6)  # as exact as grey levels are
        low, high = (
            histograms(code.astype(int) % settings.bins, settings.blocks, settings.bins, voting)
            for code in (np.floor(position), np.ceil(position) - 1)  # the same, but for what lies between two bins
        )
        planes.append((low + high) / 2)
    return np.stack(planes, axis=1)
