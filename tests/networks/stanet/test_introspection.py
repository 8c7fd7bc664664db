"""Maps lie over the frame where the network saw what they answer to."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.learning.augmentation import TEST_VIEW, Views
from pipeline.networks.stanet import introspection
from pipeline.networks.stanet.introspection import Grid
from pipeline.networks.stanet.network import STANet

SIZES = [(192, 168, 2), (96, 80, 1), (193, 160, 2), (192, 192, 3), (64, 56, 1)]


def network(**settings):
    return STANet(3, **settings).eval()


def symmetric(net):
    """A network whose response to a pixel is symmetric about it: no kernel prefers a side, nothing is cut off."""
    for module in net.spatial.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.constant_(module.bias, 1.0)
    return net


def third_map(net, flow):
    maps = []
    hook = net.spatial.level3.register_forward_hook(lambda module, inputs, output: maps.append(output))
    net(flow)
    hook.remove()
    return maps[0]


@pytest.mark.parametrize(("size", "crop", "pooling"), SIZES)
def test_the_centre_of_a_position_is_the_centre_of_what_it_sees(size, crop, pooling):
    """An impulse sent back from one position of the map lands, on average, on the pixel that the grid names."""
    net = symmetric(network(pooling=pooling))
    flow = torch.zeros(1, 1, 2, size, size, requires_grad=True)
    view = Views([TEST_VIEW], crop, size, size)
    maps = third_map(net, view.show(flow, torch.zeros(1, dtype=torch.long)))
    positions = maps.shape[-1]
    row, column = positions // 2, positions // 2 - 1
    maps[0, :, row, column].sum().backward()
    seen = flow.grad[0, 0].abs().sum(dim=0).double()
    pixels = torch.arange(size, dtype=torch.float64)
    found = [(seen.sum(dim=axis) * pixels).sum().item() / seen.sum().item() for axis in (1, 0)]
    centres = introspection.grid(net, size, crop).centres(positions)
    np.testing.assert_allclose(found, [centres[row], centres[column]], atol=1e-3)


@pytest.mark.parametrize(("size", "crop", "pooling"), SIZES)
def test_the_answer_to_an_impulse_lies_over_the_impulse(size, crop, pooling):
    """Forwards: the map of a clip in which one spot moves, laid over the frame, has its maximum at that spot."""
    net = symmetric(network(pooling=pooling))
    centres = introspection.grid(net, size, crop).centres(crop // (8 * pooling))
    for y, x in ((centres[1], centres[-2]), (centres[-2], centres[2])):
        flow = torch.zeros(2, 2, size, size)
        flow[1, :, round(y), round(x)] = 50.0
        shown = introspection.attention(net, flow, crop)
        over = shown.grid.over_frame(shown.before[1] - shown.before[0])
        peak = np.unravel_index(np.nanargmax(over), over.shape)
        np.testing.assert_allclose(peak, (y, x), atol=1)


def test_the_default_network_has_a_map_of_10_positions_16_pixels_apart():
    shown = introspection.attention(network(pooling=2), torch.zeros(4, 2, 192, 192), 168)
    assert shown.grid == Grid(size=192, crop=168, first=6.5, step=16)
    assert shown.before.shape == shown.mask.shape == shown.after.shape == (4, 10, 10)
    assert shown.weights.shape == (4,) and shown.probabilities.shape == (3,)


def test_over_the_frame_a_map_keeps_its_values_at_its_centres_and_says_nothing_outside_the_crop():
    grid = Grid(size=40, crop=32, first=3.0, step=8)
    field = np.random.default_rng(0).uniform(size=(4, 4)).astype(np.float32)
    over = grid.over_frame(field)
    centres = grid.centres(4).astype(int)
    assert list(centres) == [7, 15, 23, 31]
    np.testing.assert_allclose(over[np.ix_(centres, centres)], field, atol=1e-6)
    np.testing.assert_allclose(over[11, 7], (field[0, 0] + field[1, 0]) / 2, atol=1e-6)
    outside = np.ones((40, 40), bool)
    outside[grid.inside, grid.inside] = False
    assert np.isnan(over[outside]).all() and not np.isnan(over[~outside]).any()


def test_it_is_what_the_network_computes():
    net = network(pooling=1)
    flow = torch.randn(3, 2, 72, 72, generator=torch.Generator().manual_seed(1))
    shown = introspection.attention(net, flow, 64)
    cut = flow[None, ..., 4:68, 4:68]
    with torch.no_grad():
        output, before = net(cut), third_map(net, cut)
    np.testing.assert_allclose(shown.probabilities, torch.softmax(output.logits[0].double(), 0), atol=1e-6)
    np.testing.assert_allclose(shown.mask, output.mask[0].mean(1), atol=1e-6)
    np.testing.assert_allclose(shown.contrast, output.mask[0].numpy().std(axis=1), atol=1e-6)
    np.testing.assert_allclose(shown.weights, output.weights[0], atol=1e-6)
    np.testing.assert_allclose(shown.before, before.mean(1), atol=1e-6)
    np.testing.assert_allclose(shown.after, ((1 + output.mask[0]) * before).mean(1), atol=1e-6)


def test_without_a_branch_there_is_nothing_of_it():
    flow = torch.zeros(2, 2, 64, 64)
    shown = introspection.attention(network(pooling=1, spatial_attention=False), flow, 56)
    assert shown.mask is None and shown.contrast is None and shown.weights is not None
    np.testing.assert_array_equal(shown.after, shown.before)
    shown = introspection.attention(network(pooling=1, temporal_attention=False), flow, 56)
    assert shown.mask is not None and shown.weights is None
