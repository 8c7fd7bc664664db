"""Augmented flow is the flow of the augmented frames: checked on fields that have a formula."""

from collections import Counter

import pytest
import torch

from pipeline import augmentation
from pipeline.augmentation import TEST_VIEW, View

H, W = 60, 80


def rotation(height, width, centre, rate=0.02):
    """Flow of a rotation about `centre` (x, y) in pixels; pixel centres lie at whole numbers."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return torch.stack([-rate * (y - centre[1]), rate * (x - centre[0])])


@pytest.fixture
def field():
    return rotation(H, W, centre=(30.0, 20.0))[None, None]  # (1, 1, 2, H, W)


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_a_rescaled_rotation_is_the_rotation_of_the_rescaled_frame(field, scale):
    out = augmentation.rescale(field, scale)
    height, width = round(H * scale), round(W * scale)
    assert out.shape == (1, 1, 2, height, width)
    sx, sy = width / W, height / H
    # Pixel centre x of the frame lies at (x + 1/2) s - 1/2 of the rescaled frame; a rotation at equal s keeps its rate.
    centre = ((30.0 + 0.5) * sx - 0.5, (20.0 + 0.5) * sy - 0.5)
    expected = rotation(height, width, centre)
    inside = (..., slice(2, -2), slice(2, -2))
    tolerance = 1e-9 if sx == sy else 0.01  # rounding to whole sizes may scale the axes a little differently
    torch.testing.assert_close(out[0, 0][inside], expected[inside], rtol=0, atol=tolerance)


def test_a_uniform_motion_is_scaled_with_the_frame():
    flow = torch.tensor([0.5, -0.25]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 100, 100)
    out = augmentation.rescale(flow, 1.1)
    torch.testing.assert_close(out[0, 0, :, 50, 50], torch.tensor([0.55, -0.275]))


def test_sizes_that_round_differently_scale_each_axis_by_its_own_ratio():
    flow = torch.ones(1, 1, 2, 33, 47)
    out = augmentation.rescale(flow, 0.9)  # 29.7 -> 30, 42.3 -> 42
    torch.testing.assert_close(out[0, 0, :, 9, 9], torch.tensor([42 / 47, 30 / 33]))


def test_a_mirrored_rotation_turns_the_other_way(field):
    out = augmentation.mirror(field)[0, 0]
    torch.testing.assert_close(out, rotation(H, W, centre=(W - 1 - 30.0, 20.0), rate=-0.02))


def test_mirroring_twice_changes_nothing(field):
    assert torch.equal(augmentation.mirror(augmentation.mirror(field)), field)


@pytest.mark.parametrize(
    ("corner", "left", "top"),
    [
        ("top left", 0, 0),
        ("top right", 30, 0),
        ("bottom left", 0, 10),
        ("bottom right", 30, 10),
        ("centre", 15, 5),
    ],
)
def test_a_cropped_rotation_keeps_its_vectors_and_moves_its_centre(field, corner, left, top):
    out = augmentation.crop(field, corner, 50)[0, 0]
    torch.testing.assert_close(out, rotation(50, 50, centre=(30.0 - left, 20.0 - top)))


def test_a_crop_larger_than_the_field_is_an_error(field):
    with pytest.raises(ValueError, match="cannot cut 61 px from a field of 80 x 60 px"):
        augmentation.crop(field, "centre", 61)


@pytest.mark.parametrize(("scales", "flip", "count"), [((0.9, 1.0, 1.1), False, 15), ((1.0,), True, 10)])
def test_the_number_of_views_is_that_of_the_datasets(scales, flip, count):
    views = augmentation.views(scales, flip)
    assert len(set(views)) == len(views) == count
    assert TEST_VIEW in views
    assert Counter(view.corner for view in views).total() == count


def test_a_batch_shows_every_clip_in_its_own_view():
    flow = torch.randn(6, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    chosen = [
        View(0.9, "top left", False),
        View(1.1, "bottom right", True),
        TEST_VIEW,
        View(0.9, "centre", False),
        View(1.1, "top right", False),
        View(1.0, "bottom left", True),
    ]
    out = augmentation.apply(flow, chosen, 48)
    assert out.shape == (6, 3, 2, 48, 48)
    for clip, view, shown in zip(flow, chosen, out, strict=True):
        alone = augmentation.crop(augmentation.rescale(clip[None], view.scale), view.corner, 48)
        alone = augmentation.mirror(alone) if view.flip else alone
        torch.testing.assert_close(shown, alone[0])


def test_the_test_view_is_the_plain_centre(field):
    assert torch.equal(augmentation.apply(field, [TEST_VIEW], 40)[0], field[0, :, :, 10:50, 20:60])
