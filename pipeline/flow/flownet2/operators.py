"""The operators of FlowNet 2.0's figure 2: what stands between its networks, and FlowNetC's correlation.

Ilg et al., CVPR 2017, doi:10.1109/CVPR.2017.179; the correlation is that of Dosovitskiy et al., ICCV 2015,
doi:10.1109/ICCV.2015.316.
"""

import torch
from torch import Tensor
from torch.nn import functional

MAX_DISPLACEMENT = 10  # of the correlation, in steps of 2 positions: 21 x 21 displacements
PRODUCTS_AT_ONCE = 2**26  # float32 products that the correlation holds at a time: 256 MiB, or one pair's


def normalise(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (N, 3, H, W), 0-255, less each channel's mean over both frames of the pair, then / 255."""
    mean = torch.stack((first, second)).mean(dim=(0, 3, 4))[:, :, None, None]  # (N, 3, 1, 1)
    return (first - mean) / 255, (second - mean) / 255


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Compare each position of `first` with 21 x 21 positions, two apart, of `second` (FlowNet, eq. 1).

    Features (N, C, h, w), h and w even -> (N, 441, h, w): channel (dy + 10) * 21 + (dx + 10) is the dot
    product of first[:, :, y, x] with second[:, :, y + 2 dy, x + 2 dx], divided by C; outside of `second`
    it is 0.

    A step of two keeps the parity of y and of x, so that the four parities are compared apart: each is one
    matrix product of all positions with all positions, from which the 441 wanted ones are picked.
    """
    channels, height, width = first.shape[1:]
    positions = (height // 2) * (width // 2)
    picks = _correlation_picks(height, width, first.device)
    pairs_at_once = max(1, PRODUCTS_AT_ONCE // (4 * positions * (positions + 1)))
    parts = []
    for a, b in zip(torch.split(first, pairs_at_once), torch.split(second, pairs_at_once), strict=True):
        a = functional.pixel_unshuffle(a, 2).view(-1, channels, 4, positions).permute(0, 2, 3, 1)
        b = functional.pixel_unshuffle(b, 2).view(-1, channels, 4, positions).transpose(1, 2)
        b = functional.pad(b, (0, 1))  # one more position, of zeros: all that lies outside
        products = (a @ b).div_(channels)  # (n, 4, p, C) @ (n, 4, C, p + 1) = (n, 4, p, p + 1)
        parts.append(products.flatten(1).index_select(1, picks))  # (n, 441 h w)
    return torch.cat(parts).view(len(first), -1, height, width)


def _correlation_picks(height: int, width: int, device: torch.device) -> Tensor:
    """Where each of the 441 h w correlations stands among the flattened (4, p, p + 1) products."""
    rows, columns = height // 2, width // 2
    steps = torch.arange(-MAX_DISPLACEMENT, MAX_DISPLACEMENT + 1, device=device)
    y, x = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
    to_y = y // 2 + steps[:, None, None, None]  # (21, 1, h, 1)
    to_x = x // 2 + steps[:, None, None]  # (21, 1, w)
    inside = (to_y >= 0) & (to_y < rows) & (to_x >= 0) & (to_x < columns)  # (21, 21, h, w)
    target = torch.where(inside, to_y * columns + to_x, rows * columns)
    parity = (y % 2) * 2 + x % 2
    source = (y // 2) * columns + x // 2
    return ((parity * rows * columns + source) * (rows * columns + 1) + target).flatten()


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample (N, C, H, W) bilinearly at x + flow; outside, the nearest border pixel counts (section 4.1)."""
    height, width = image.shape[2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]  # (N, H, W)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]
    # grid_sample wants the first and the last pixel's centre at -1 and 1.
    grid = torch.stack((x * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1), dim=3)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def upsample_bilinear(flow: Tensor, align_corners: bool) -> Tensor:
    """Flow (N, 2, h, w) in four times the size, its values unchanged, bilinear."""
    return functional.interpolate(flow, scale_factor=4, mode="bilinear", align_corners=align_corners)


def upsample_nearest(flow: Tensor) -> Tensor:
    """Flow (N, 2, h, w) in four times the size, each value repeated 4 x 4 times."""
    return functional.interpolate(flow, scale_factor=4, mode="nearest")


def channel_norm(x: Tensor) -> Tensor:
    """Euclidean length over the channels: (N, C, H, W) -> (N, 1, H, W)."""
    return (x * x).sum(1, keepdim=True).sqrt()  # several times faster on a CPU than torch.linalg.vector_norm
