"""Augmentation of optical flow. Flow is a vector field: when its geometry changes, its vectors change with it.

Every function takes flow of shape (..., 2, H, W), u to the right and v down in pixels, on any device, and gives a
field that is the flow of the transformed frames.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CORNERS = ("centre", "top left", "top right", "bottom left", "bottom right")
Corner = Literal["centre", "top left", "top right", "bottom left", "bottom right"]


class View(NamedTuple):
    """One way to look at a clip: rescale, cut a square from a corner or the centre, mirror."""

    scale: float
    corner: Corner
    flip: bool


TEST_VIEW = View(1.0, "centre", False)


def views(scales: Sequence[float], horizontal_flip: bool) -> tuple[View, ...]:
    """All training views: 5 crops x scales (x 2 with flips), 15 for the three scales of CASME and CASME II."""
    flips = (False, True) if horizontal_flip else (False,)
    return tuple(View(scale, corner, flip) for scale, corner, flip in product(scales, CORNERS, flips))


def apply(flow: Tensor, chosen: Sequence[View], size: int) -> Tensor:
    """Show each clip in its view.

    Parameters
    ----------
    flow
        (N, T, 2, H, W), floating point.
    chosen
        N views.
    size
        Side of the square crop in pixels.

    Returns
    -------
    (N, T, 2, size, size).
    """
    out = flow.new_empty(*flow.shape[:-2], size, size)
    for scale, flip in sorted({(view.scale, view.flip) for view in chosen}):  # at most a handful of groups
        group = [n for n, view in enumerate(chosen) if (view.scale, view.flip) == (scale, flip)]
        scaled = rescale(flow[group], scale)
        cut = torch.stack([crop(clip, chosen[n].corner, size) for n, clip in zip(group, scaled, strict=True)])
        out[group] = mirror(cut) if flip else cut
    return out


def rescale(flow: Tensor, scale: float) -> Tensor:
    """Flow of the frames enlarged `scale` times, to the nearest whole size: (..., 2, H, W) -> (..., 2, sH, sW).

    A motion of 1 px in the frame is one of `scale` px in the enlarged frame. The factor is the ratio of the rounded
    sizes, which is what the geometry was scaled by.
    """
    height, width = flow.shape[-2:]
    size = (round(height * scale), round(width * scale))
    if size == (height, width):
        return flow
    fields = flow.flatten(0, -4)  # (M, 2, H, W)
    fields = functional.interpolate(fields, size=size, mode="bilinear", align_corners=False)
    ratio = flow.new_tensor([size[1] / width, size[0] / height]).view(2, 1, 1)
    return (fields * ratio).unflatten(0, flow.shape[:-3])


def crop(flow: Tensor, corner: Corner, size: int) -> Tensor:
    """Square of `size` px cut from a corner or the centre: (..., 2, H, W) -> (..., 2, size, size)."""
    height, width = flow.shape[-2:]
    if size > min(height, width):
        raise ValueError(f"cannot cut {size} px from a field of {width} x {height} px")
    if corner == "centre":
        top, left = (height - size) // 2, (width - size) // 2
    else:
        top = 0 if "top" in corner else height - size
        left = 0 if "left" in corner else width - size
    return flow[..., top : top + size, left : left + size]


def mirror(flow: Tensor) -> Tensor:
    """Flow of the frames mirrored left to right: the field is mirrored and u changes sign."""
    return flow.flip(-1) * flow.new_tensor([-1.0, 1.0]).view(2, 1, 1)
