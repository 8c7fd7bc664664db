"""What there is to draw: arrays of the right shapes with numbers drawn at random, and the words of a figure."""

import numpy as np
from matplotlib.text import Text

from pipeline.networks.stanet.introspection import Attention, Grid

GRID = Grid(size=40, crop=32, first=3.0, step=8)
RNG = np.random.default_rng(0)


def attention(frames=5, mask=True, weights=True):
    """What a network with or without its branches makes of a clip."""
    maps = RNG.uniform(size=(frames, 4, 4)).astype(np.float32)
    return Attention(
        np.ones(2) / 2,
        maps,
        maps if mask else None,
        maps,
        np.full(frames, 1 / frames) if weights else None,
        GRID,
        maps if mask else None,
    )


def clip(frames=5):
    """Frames and flow of a clip."""
    return RNG.integers(0, 255, (frames + 1, 40, 40, 3)).astype(np.uint8), RNG.normal(size=(frames, 2, 40, 40)) / 10


def texts(figure):
    """Every text in a figure."""
    return [text.get_text() for text in figure.findobj(match=Text)]
