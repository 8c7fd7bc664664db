"""STANet: the network and its loss, in the order of section 3 of the paper.

    flow of a clip -> spatial attention module, frame by frame -> temporal attention module -> class

Shapes: N clips, T flow frames of a clip, K classes, C channels and h x w positions of the third feature map.

Try it: python -c "import torch; from pipeline.stanet import STANet; print(STANet(4)(torch.zeros(2, 19, 2, 168, 168)))"

Where the paper is silent, this is what was chosen:

- Backbone: five convolutions with batch normalisation and ReLU; 0.4 M parameters with all that follows. Adjacent frames
  of a micro-expression differ by a few hundredths of a pixel, so the flow itself is batch-normalised first; without
  that it vanishes at the paper's learning rate.
- Pooling: averages over 3 x 3 parts of the face, joined by a linear layer. Where something moves is half of what an
  action unit is; a global average forgets it, and what is left had to be learned from the borders of the maps.
- Temporal attention branch: an LSTM of its own with D = 16 hidden values, each scaled by D^-1/4, so that the dot
  products of Eq. 3 are scaled by D^-1/2. They pass through tanh: large ones saturate it, and the weights are either all
  1 / T or crowd on one or two frames, where those of the paper's Figure 7 run from 0.0003 to 0.085.
- Trunk of the temporal attention module: an LSTM over T(X); its last state, or the mean of its states over time, is y.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.learning.initialisation import initialise

_WIDTHS = (16, 32, 64)  # channels of L1, L2, L3
_TOP = (64, 96)  # channels of the convolutions behind the attention
_SMALLEST = 32  # side of the pooled flow whose third feature map is 4 x 4, the least that the branch can halve twice
_FEATURES = 96  # C', values of f(x_i)
_BRANCH = 16  # D, hidden values of the temporal attention branch
_TRUNK = 96  # hidden values of the temporal attention module's trunk


class STANetOutput(NamedTuple):
    """What the network gives for N clips."""

    logits: Tensor
    """(N, K)."""
    mask: Tensor | None
    """m(x_i), (N, T, C, h, w) in (0, 1); None without spatial attention."""
    weights: Tensor | None
    """w_i, (N, T), sum 1 over a clip; None without temporal attention."""


class STANet(nn.Module):
    """y = G(F(X)) (Eq. 1): spatial attention module F, temporal attention module G, linear classifier.

    Parameters
    ----------
    classes
        K, number of classes.
    spatial_attention, temporal_attention
        False removes the branch and changes nothing else.
    pooling
        The flow is averaged over pooling x pooling pixels before the first convolution; 1 leaves it as it is.
    regions
        f(x_i) is made of the averages over regions x regions parts of the face; 1 is global average pooling.
    readout
        y is the last state of the trunk, or the mean of its states over time.
    seed
        Every parameter is drawn from (seed, its own name): variants of the network start from equal values wherever
        they share a parameter.
    """

    def __init__(
        self,
        classes: int,
        *,
        spatial_attention: bool = True,
        temporal_attention: bool = True,
        pooling: int = 1,
        regions: int = 3,
        readout: Literal["last", "mean"] = "mean",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.smallest = _SMALLEST * pooling
        self.spatial = SpatialAttentionModule(spatial_attention, pooling, regions)
        self.temporal = TemporalAttentionModule(_FEATURES, temporal_attention, readout)
        self.classifier = nn.Linear(_TRUNK, classes)
        initialise(self, seed)

    def forward(self, flow: Tensor) -> STANetOutput:
        """Classify clips of optical flow: (N, T, 2, H, W), in pixels; H and W at least 32 after pooling.

        Raises ValueError for another shape.
        """
        if flow.dim() != 5 or flow.shape[2] != 2 or min(flow.shape[3:]) < self.smallest:
            raise ValueError(
                f"expected flow of shape (N, T, 2, H, W), H and W at least {self.smallest}, got {tuple(flow.shape)}"
            )
        clips, frames = flow.shape[:2]
        features, mask = self.spatial(flow.flatten(0, 1))  # (N T, C'), (N T, C, h, w)
        summary, weights = self.temporal(features.unflatten(0, (clips, frames)))  # (N, D'), (N, T)
        mask = None if mask is None else mask.unflatten(0, (clips, frames))
        return STANetOutput(self.classifier(summary), mask, weights)


class SpatialAttentionModule(nn.Module):
    """F (section 3.1): one feature vector f(x_i) per flow frame."""

    def __init__(self, attention: bool, pooling: int, regions: int) -> None:
        super().__init__()
        self.pooling = pooling
        self.normalise = nn.BatchNorm2d(2, affine=False)  # level1 has a scale of its own
        self.level1 = _convolution(2, _WIDTHS[0], size=5, stride=2)
        self.level2 = nn.Sequential(nn.AvgPool2d(2), _convolution(_WIDTHS[0], _WIDTHS[1]))
        self.level3 = nn.Sequential(nn.AvgPool2d(2), _convolution(_WIDTHS[1], _WIDTHS[2]))
        self.attention = SpatialAttention(_WIDTHS[2]) if attention else None
        self.level4 = _convolution(_WIDTHS[2], _TOP[0], stride=2)
        self.level5 = _convolution(_TOP[0], _TOP[1], stride=2)
        self.regions = regions
        self.features = nn.Linear(_TOP[1] * regions**2, _FEATURES)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor | None]:
        """(M, 2, H, W) -> f (M, C') and mask (M, C, h, w), or None without attention."""
        flow = self.normalise(_average(flow, self.pooling))
        flow = flow.contiguous(memory_format=torch.channels_last)  # what convolutions are fastest in
        maps = self.level3(self.level2(self.level1(flow)))  # L3(x_i): (M, C, h, w)
        mask = None
        if self.attention is not None:
            mask = self.attention(maps)
            maps = (1 + mask) * maps  # Eq. 2
        maps = self.level5(self.level4(maps))
        regions = _resample(maps, (self.regions, self.regions), _averaging)  # (M, C'', regions, regions)
        return self.features(regions.flatten(1)), mask


class SpatialAttention(nn.Module):
    """Spatial attention branch (SAB): bottom-up, top-down, sigmoid.

    Works for any map of at least 4 x 4 positions, odd sizes too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down1 = _convolution(channels, channels)
        self.down2 = _convolution(channels, channels)
        self.up1 = _convolution(channels, channels)
        self.mask = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, maps: Tensor) -> Tensor:
        """m of the same shape as the maps (M, C, h, w), values in (0, 1)."""
        half = self.down1(functional.max_pool2d(maps, 2))  # (M, C, h/2, w/2)
        quarter = self.down2(functional.max_pool2d(half, 2))  # (M, C, h/4, w/4)
        half = self.up1(_upsample(quarter, half) + half)
        return torch.sigmoid(self.mask(_upsample(half, maps) + maps))


class TemporalAttentionModule(nn.Module):
    """G (section 3.2): frames weighted by the temporal attention branch, summarised in one vector y."""

    def __init__(self, features: int, attention: bool, readout: Literal["last", "mean"]) -> None:
        super().__init__()
        self.branch = nn.LSTM(features, _BRANCH, batch_first=True) if attention else None
        self.trunk = nn.LSTM(features, _TRUNK, batch_first=True)
        self.readout = readout

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """f (N, T, C') -> y (N, D') and w (N, T), or None without attention; float32 or more, whatever f is.

        A softmax over sums of affinities needs float32, and many CPUs have no LSTM in bfloat16.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = _full(features)
            weights = None
            if self.branch is not None:
                hidden, _ = self.branch(features)  # (N, T, D)
                weights = temporal_weights(hidden * _BRANCH**-0.25)  # H: products of order 1, tanh not saturated
                features = (1 + weights.unsqueeze(-1)) * features  # Eq. 5
            states, _ = self.trunk(features)  # (N, T, D')
            return states[:, -1] if self.readout == "last" else states.mean(dim=1), weights


def temporal_weights(hidden: Tensor) -> Tensor:
    """Weight of every frame from its affinity with all frames: H (N, T, D) -> w (N, T), sum 1 over a clip."""
    affinity = torch.tanh(hidden @ hidden.transpose(1, 2))  # Eq. 3: C (N, T, T)
    return torch.softmax(affinity.sum(dim=2), dim=1)  # Eq. 4


def stanet_loss(output: STANetOutput, labels: Tensor, lambda_: float) -> Tensor:
    """Mean cross entropy + lambda * l1 norm of the mask (Eq. 6 and 7), a scalar; labels (N,) are class numbers."""
    cross_entropy = functional.cross_entropy(_full(output.logits), labels)
    if output.mask is None or lambda_ == 0:
        return cross_entropy
    return cross_entropy + lambda_ * mask_l1(output.mask)


def mask_l1(mask: Tensor) -> Tensor:
    """l1 norm of the masks (N, T, C, h, w): summed over each clip, averaged over clips.

    The sum, as in the paper, so that lambda is comparable; the average, so that it means the same at every batch size.
    """
    return mask.abs().sum(dtype=torch.promote_types(mask.dtype, torch.float32)) / mask.shape[0]


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _average(flow: Tensor, size: int) -> Tensor:
    """Averages over size x size pixels; a remainder at the right and lower edge is left out.

    Three times as fast on a CPU as `avg_pool2d`, which takes a flow field one value at a time.
    """
    height, width = (side // size * size for side in flow.shape[-2:])
    zero = flow.new_zeros(())
    rows = sum((flow[..., row:height:size, :width] for row in range(size)), start=zero)
    return sum((rows[..., column::size] for column in range(size)), start=zero) / size**2


def _upsample(maps: Tensor, like: Tensor) -> Tensor:
    """Bilinear upsampling to the size of another map."""
    return _resample(maps, like.shape[-2:], _interpolation)


def _resample(maps: Tensor, size: Sequence[int], weights: Callable[[int, int, Tensor], Tensor]) -> Tensor:
    """Another size, separately along rows and columns: (M, C, h, w) -> (M, C, *size).

    As matrix products, because their gradient is deterministic on a GPU; those of PyTorch's own upsampling and adaptive
    pooling are not.
    """
    height, width = maps.shape[-2:]
    rows = weights(height, size[0], maps)  # (H, h)
    columns = weights(width, size[1], maps)  # (W, w)
    maps = maps.permute(0, 2, 3, 1)  # (M, h, w, C), which is how they lie in memory
    maps = torch.unflatten(rows @ maps.flatten(2), 2, (width, -1))  # (M, H, w, C)
    return (columns @ maps).permute(0, 3, 1, 2)


def _interpolation(before: int, after: int, like: Tensor) -> Tensor:
    """Weights (after, before) of linear interpolation, pixels taken as areas (`align_corners=False`)."""
    unit = torch.eye(before, dtype=like.dtype, device=like.device)[:, None]  # each position by itself
    return functional.interpolate(unit, size=after, mode="linear", align_corners=False)[:, 0].T


def _averaging(before: int, after: int, like: Tensor) -> Tensor:
    """Weights (after, before) of the averages over equal parts; parts that do not come out even overlap."""
    unit = torch.eye(before, dtype=like.dtype, device=like.device)[:, None]
    return functional.adaptive_avg_pool1d(unit, after)[:, 0].T


def _full(values: Tensor) -> Tensor:
    """At least float32, whatever the layers before compute in."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
