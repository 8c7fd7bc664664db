"""What a trained network looks at in a clip: its feature map before and after attention, its mask, its weights.

All of it belongs to the test view, a crop from the centre of the frame, and its maps are coarser than the frame. `Grid`
says where each of their positions lies, so that they can be laid over the frame in register.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from pipeline.learning.augmentation import TEST_VIEW, Views
from pipeline.networks.stanet.network import STANet


@dataclass(frozen=True)
class Grid:
    """Where the positions of a feature map lie in a frame, the same for both axes; pixel centres are whole numbers."""

    size: int
    """S, side of the frame in pixels."""
    crop: int
    """Side of the network's input in pixels, cut from the centre of the frame."""
    first: float
    """Centre of the receptive field of position 0, in pixels of the crop."""
    step: int
    """Pixels from one position to the next."""

    @property
    def corner(self) -> int:
        """First row and column of the crop in the frame."""
        return (self.size - self.crop) // 2

    @property
    def inside(self) -> slice:
        """Rows, or columns, of the frame that the network sees."""
        return slice(self.corner, self.corner + self.crop)

    def centres(self, positions: int) -> np.ndarray:
        """Centre of each of `positions` positions along an axis of the frame, pixels."""
        return self.corner + self.first + self.step * np.arange(positions)

    def over_frame(self, field: np.ndarray) -> np.ndarray:
        """A map (h, w) on the pixels of the frame: float32 (S, S), bilinear, NaN outside the crop.

        Pixels of the crop beyond the outermost centres have the value of the nearest one.
        """
        place = (np.arange(self.crop) - self.first) / self.step
        spread = np.full((self.size, self.size), np.nan, np.float32)
        spread[self.inside, self.inside] = map_coordinates(
            field.astype(np.float32), np.meshgrid(place, place, indexing="ij"), order=1, mode="nearest"
        )
        return spread


class Attention(NamedTuple):
    """What a network makes of one clip; maps are means over the channels, but for `contrast`."""

    probabilities: np.ndarray
    """float64 (K,)."""
    before: np.ndarray
    """L3(x_i), the third feature map: float32 (T, h, w)."""
    mask: np.ndarray | None
    """m(x_i) in (0, 1): float32 (T, h, w); None without spatial attention."""
    after: np.ndarray
    """(1 + m(x_i)) * L3(x_i) (Eq. 2): float32 (T, h, w); `before` without spatial attention."""
    weights: np.ndarray | None
    """w_i (Eq. 4): float32 (T,), sum 1; None without temporal attention."""
    grid: Grid
    """Where the positions of the maps lie in the frame."""
    contrast: np.ndarray | None
    """Standard deviation of m(x_i) over the channels, float32 (T, h, w): where the mask raises some channels and lowers
    others, which cancel in the mean; None without spatial attention."""


def grid(network: STANet, size: int, crop: int) -> Grid:
    """Where the positions of the third feature map, and so of the mask, lie in a frame of `size` pixels."""
    spatial = network.spatial
    first, step = (spatial.pooling - 1) / 2, spatial.pooling
    for stage in (spatial.level1, spatial.level2, spatial.level3):
        for layer in stage.modules():
            if isinstance(layer, nn.Conv2d | nn.AvgPool2d):
                kernel, stride, padding = map(_along_an_axis, (layer.kernel_size, layer.stride, layer.padding))
                first += step * ((kernel - 1) / 2 - padding)
                step *= stride
    return Grid(size, crop, first, step)


@torch.no_grad()
def attention(network: STANet, flow: Tensor, crop: int) -> Attention:
    """Show a network one clip in the test view: flow (T, 2, S, S) in pixels per frame, cut to `crop` pixels."""
    view = Views([TEST_VIEW], crop, *flow.shape[-2:])
    maps: list[Tensor] = []
    hook = network.spatial.level3.register_forward_hook(lambda module, inputs, output: maps.append(output))
    try:
        output = network(view.show(flow[None].float(), torch.zeros(1, dtype=torch.long)))
    finally:
        hook.remove()
    [before] = maps  # (T, C, h, w)
    mask = None if output.mask is None else output.mask[0]
    after = before if mask is None else (1 + mask) * before  # Eq. 2
    return Attention(
        probabilities=torch.softmax(output.logits[0].double(), dim=0).numpy(),
        before=before.mean(dim=1).numpy(),
        mask=None if mask is None else mask.mean(dim=1).numpy(),
        after=after.mean(dim=1).numpy(),
        weights=None if output.weights is None else output.weights[0].numpy(),
        grid=grid(network, flow.shape[-1], crop),
        contrast=None if mask is None else mask.std(dim=1, correction=0).numpy(),
    )


def _along_an_axis(setting: object) -> int:
    """Size, stride or padding of a layer whose two axes are treated alike."""
    value = setting[0] if isinstance(setting, tuple) else setting
    assert isinstance(value, int)  # no layer of STANet names its padding
    return value
