"""Augmentation of optical flow and of pictures. When the geometry of flow changes, its vectors change with it.

A view rescales a clip, cuts a square out of it and may mirror it. Each of the three maps rows to rows and columns to
columns, so a view is one position per row and one per column, and a batch of clips in any mixture of views is a single
sampling of their fields, on every kind of device.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

Corner = Literal["centre", "top left", "top right", "bottom left", "bottom right"]
CORNERS: tuple[Corner, ...] = get_args(Corner)


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


class Views:
    """Views of clips of one size, ready to be shown.

    A clip enlarged `scale` times is taken to the nearest whole size; a motion of 1 px in it is one of `scale` px there,
    where `scale` is the ratio of the whole sizes, along each axis. Mirroring left to right changes the sign of u.
    Between pixels the flow is interpolated linearly, beyond the outermost ones it is theirs.

    Parameters
    ----------
    views
        V of them.
    crop
        Side of the square in pixels.
    height, width
        Size of the clips in pixels.
    device
        Where the clips will be.
    vectors
        The clips are flow; otherwise pictures, whose values stay what they are wherever they go.

    Raises
    ------
    ValueError
        A rescaled clip is smaller than the square.
    """

    def __init__(
        self,
        views: Sequence[View],
        crop: int,
        height: int,
        width: int,
        device: torch.device = torch.device("cpu"),  # noqa: B008 -- immutable
        *,
        vectors: bool = True,
    ) -> None:
        rows, columns, gain = [], [], []
        for view in views:
            size = round(height * view.scale), round(width * view.scale)
            if crop > min(size):
                raise ValueError(f"cannot cut {crop} px from a field of {size[1]} x {size[0]} px")
            top, left = _corner(view.corner, *size, crop)
            offsets = torch.arange(crop, dtype=torch.float64)
            # `grid_sample` counts from -1 at the first pixel's outer edge to 1 at the last one's.
            rows.append((2 * (top + offsets) + 1) / size[0] - 1)
            columns.append((2 * (left + (offsets.flip(0) if view.flip else offsets)) + 1) / size[1] - 1)
            gain.append((size[1] / width * (-1 if view.flip else 1), size[0] / height))
        self._rows = torch.stack(rows).to(device)  # (V, crop)
        self._columns = torch.stack(columns).to(device)  # (V, crop)
        self._gain = torch.tensor(gain, dtype=torch.float64, device=device) if vectors else None  # (V, 2)

    def show(self, clips: Tensor, view: Tensor) -> Tensor:
        """Each clip in one of the views.

        Parameters
        ----------
        clips
            float32 or float64 (N, T, 2, H, W), u to the right and v down in pixels; or pictures (N, T, C, H, W).
        view
            int64 (N,), numbers of the views.

        Returns
        -------
        (N, T, 2 or C, crop, crop), the flow of the transformed frames, or these.
        """
        count, (frames, channels), crop = len(clips), clips.shape[1:3], self._rows.shape[1]
        columns = self._columns[view].to(clips.dtype)[:, None, :].expand(count, crop, crop)
        rows = self._rows[view].to(clips.dtype)[:, :, None].expand(count, crop, crop)
        grid = torch.stack([columns, rows], dim=-1)  # (N, crop, crop, 2)
        shown = functional.grid_sample(
            clips.flatten(1, 2), grid, mode="bilinear", padding_mode="border", align_corners=False
        )  # (N, T C, crop, crop)
        shown = torch.unflatten(shown, 1, (frames, channels))
        if self._gain is None:
            return shown
        return shown.mul_(self._gain[view].to(clips.dtype)[:, None, :, None, None])


def _corner(corner: Corner, height: int, width: int, size: int) -> tuple[int, int]:
    """Top and left of a square of `size` px."""
    if corner == "centre":
        return (height - size) // 2, (width - size) // 2
    return (0 if "top" in corner else height - size), (0 if "left" in corner else width - size)
