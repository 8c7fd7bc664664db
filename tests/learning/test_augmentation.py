"""Augmented flow is the flow of the augmented frames: checked on fields that have a formula."""

from collections import Counter

import pytest
import torch
from torch.nn import functional

from pipeline.learning import augmentation
from pipeline.learning.augmentation import CORNERS, TEST_VIEW, View, Views

H, W = 60, 80
LEFT_AND_TOP = {
    "top left": (0, 0),
    "top right": (1, 0),
    "bottom left": (0, 1),
    "bottom right": (1, 1),
    "centre": (0.5, 0.5),
}


def rotation(height, width, centre, rate=0.02):
    """Flow of a rotation about `centre` (x, y) in pixels; pixel centres lie at whole numbers."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return torch.stack([-rate * (y - centre[1]), rate * (x - centre[0])])


def show(field, view, crop):
    """One field (2, H, W) in one view."""
    return Views([view], crop, *field.shape[-2:]).show(field[None, None], torch.tensor([0]))[0, 0]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("scale", [0.9, 1.0, 1.1, 2.0])
def test_a_rotation_stays_the_rotation_that_the_view_makes_of_it(scale, corner, flip):
    crop = 50
    height, width = round(H * scale), round(W * scale)
    sx, sy = width / W, height / H
    # Pixel centre x of the frame lies at (x + 1/2) s - 1/2 of the rescaled frame; a rotation at equal s keeps its rate.
    right, down = LEFT_AND_TOP[corner]
    centre = [
        (30.0 + 0.5) * sx - 0.5 - int(right * (width - crop)),
        (20.0 + 0.5) * sy - 0.5 - int(down * (height - crop)),
    ]
    rate = 0.02
    if flip:
        centre[0], rate = crop - 1 - centre[0], -rate
    expected = rotation(crop, crop, centre, rate)
    out = show(rotation(H, W, centre=(30.0, 20.0)), View(scale, corner, flip), crop)
    inside = (slice(None), slice(2, -2), slice(2, -2))  # enlarged, the outermost pixel lies beyond the last centre
    torch.testing.assert_close(out[inside], expected[inside], rtol=0, atol=1e-9)


def test_a_uniform_motion_is_scaled_with_the_frame():
    flow = torch.tensor([0.5, -0.25]).view(2, 1, 1).expand(2, 100, 100)
    out = show(flow, View(1.1, "centre", False), 90)
    torch.testing.assert_close(out, torch.tensor([0.55, -0.275]).view(2, 1, 1).expand(2, 90, 90))


def test_sizes_that_round_differently_scale_each_axis_by_its_own_ratio():
    out = show(torch.ones(2, 33, 47), View(0.9, "centre", False), 30)  # 29.7 -> 30, 42.3 -> 42
    torch.testing.assert_close(out[:, 9, 9], torch.tensor([42 / 47, 30 / 33]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale", [0.9, 1.0, 1.1])
def test_a_view_is_interpolation_then_cropping_then_mirroring(scale, flip, dtype):
    flow = torch.randn(3, 2, 64, 64, generator=torch.Generator().manual_seed(0), dtype=dtype)
    size = round(64 * scale)
    expected = functional.interpolate(flow, size=(size, size), mode="bilinear", align_corners=False) * (size / 64)
    expected = expected[..., :48, size - 48 :]
    if flip:
        expected = expected.flip(-1) * torch.tensor([-1, 1], dtype=dtype).view(2, 1, 1)
    out = Views([View(scale, "top right", flip)], 48, 64, 64).show(flow[None], torch.tensor([0]))[0]
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(out, expected, rtol=0, atol=tolerance)


def test_a_crop_larger_than_a_rescaled_clip_is_an_error():
    with pytest.raises(ValueError, match="cannot cut 55 px from a field of 72 x 54 px"):
        Views([TEST_VIEW, View(0.9, "centre", False)], 55, H, W)


@pytest.mark.parametrize(("scales", "flip", "count"), [((0.9, 1.0, 1.1), False, 15), ((1.0,), True, 10)])
def test_the_number_of_views_is_that_of_the_datasets(scales, flip, count):
    views = augmentation.views(scales, flip)
    assert len(set(views)) == len(views) == count
    assert TEST_VIEW in views
    assert set(Counter(view.corner for view in views).values()) == {count // 5}


def test_a_batch_shows_every_clip_in_its_own_view():
    flow = torch.randn(6, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    chosen = augmentation.views((0.9, 1.0, 1.1), True)
    numbers = torch.tensor([0, 7, 29, 7, 14, 22])
    out = Views(chosen, 48, 64, 64).show(flow, numbers)
    assert out.shape == (6, 3, 2, 48, 48)
    for clip, number, shown in zip(flow, numbers.tolist(), out, strict=True):
        alone = torch.stack([show(frame, chosen[number], 48) for frame in clip])
        torch.testing.assert_close(shown, alone)


def test_the_test_view_is_the_plain_centre():
    field = rotation(H, W, centre=(30.0, 20.0))
    torch.testing.assert_close(show(field, TEST_VIEW, 40), field[:, 10:50, 20:60], rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_shows_what_a_cpu_shows():
    flow = torch.randn(4, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    chosen, numbers = augmentation.views((0.9, 1.0, 1.1), True), torch.tensor([0, 11, 22, 29])
    expected = Views(chosen, 48, 64, 64).show(flow, numbers)
    out = Views(chosen, 48, 64, 64, torch.device("cuda")).show(flow.cuda(), numbers.cuda())
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_go_where_flow_goes_and_keep_their_values(channels):
    """A picture's grey levels are no vectors: the same sampling, without a factor and without a change of sign."""
    pictures = torch.rand(2, 5, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    chosen, numbers = [View(1.1, "top left", True), View(0.9, "centre", False)], torch.tensor([0, 1])
    out = Views(chosen, 48, 64, 64, vectors=False).show(pictures, numbers)
    assert out.shape == (2, 5, channels, 48, 48)
    flow = Views(chosen, 48, 64, 64).show(pictures[:, :, :1].expand(-1, -1, 2, -1, -1), numbers)
    gain = torch.tensor([[-70 / 64, 70 / 64], [58 / 64, 58 / 64]])  # 64 px become 70 and 58
    torch.testing.assert_close(out[:, :, :1] * gain[:, None, :, None, None], flow)


def test_flat_pictures_stay_flat():
    shown = Views([View(1.1, "top left", True)], 48, 64, 64, vectors=False).show(
        torch.full((1, 5, 1, 64, 64), 200.0), torch.tensor([0])
    )
    torch.testing.assert_close(shown, torch.full((1, 5, 1, 48, 48), 200.0))
