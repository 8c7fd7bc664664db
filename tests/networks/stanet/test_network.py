"""The equations of section 3 against independent float64 computations in NumPy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.networks.stanet import network
from pipeline.networks.stanet.network import (
    SpatialAttention,
    STANet,
    STANetOutput,
    mask_l1,
    stanet_loss,
    temporal_weights,
)

VARIANTS = [(True, True), (True, False), (False, True), (False, False)]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 19, 16), (2, 7, 128)])
def test_temporal_weights_are_equations_3_and_4(shape):
    hidden = np.random.default_rng(0).normal(scale=0.3, size=shape)
    expected = np.empty(shape[:2])
    for n in range(shape[0]):
        p = np.zeros(shape[1])
        for i in range(shape[1]):
            for j in range(shape[1]):
                p[i] += np.tanh(np.dot(hidden[n, i], hidden[n, j]))
        expected[n] = softmax(p)
    np.testing.assert_allclose(temporal_weights(torch.from_numpy(hidden)).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(expected.sum(axis=1), 1)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (21, 21), (24, 9)])
def test_the_mask_has_the_shape_of_the_maps_and_lies_between_0_and_1(size):
    branch = SpatialAttention(8)
    maps = torch.randn(3, 8, *size, generator=torch.Generator().manual_seed(0))
    mask = branch(maps)
    assert mask.shape == maps.shape
    assert mask.min() > 0 and mask.max() < 1


def test_spatial_attention_multiplies_by_one_plus_mask():
    model = STANet(3).double().eval()
    seen = {}
    model.spatial.level3.register_forward_hook(lambda module, inputs, output: seen.update(maps=output.detach().numpy()))
    model.spatial.level4.register_forward_hook(lambda module, inputs, output: seen.update(product=inputs[0].numpy()))
    with torch.no_grad():
        output = model(torch.randn(2, 5, 2, 80, 72, dtype=torch.float64))
    mask = output.mask.numpy().reshape(seen["maps"].shape)
    np.testing.assert_allclose(seen["product"], (1 + mask) * seen["maps"], rtol=1e-12)  # Eq. 2


def test_temporal_attention_multiplies_by_one_plus_weight():
    model = STANet(3).double().eval()
    seen = {}
    model.temporal.branch.register_forward_hook(lambda module, inputs, output: seen.update(f=inputs[0].numpy()))
    model.temporal.trunk.register_forward_hook(lambda module, inputs, output: seen.update(t=inputs[0].numpy()))
    with torch.no_grad():
        weights = model(torch.randn(2, 5, 2, 80, 72, dtype=torch.float64)).weights.numpy()
    np.testing.assert_allclose(seen["t"], (1 + weights[..., None]) * seen["f"], rtol=1e-12)  # Eq. 5


def outputs(batch=4, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, classes)), rng.uniform(size=(batch, 5, 2, 3, 3)), rng.integers(0, classes, batch)


@pytest.mark.parametrize("lambda_", [0.0, 1e-8, 0.1])
def test_the_loss_is_equation_7(lambda_):
    logits, mask, labels = outputs()
    cross_entropy = -np.mean([np.log(softmax(logits)[n, label]) for n, label in enumerate(labels)])
    l1 = np.mean([np.abs(mask[n]).sum() for n in range(len(mask))])
    output = STANetOutput(torch.from_numpy(logits), torch.from_numpy(mask), None)
    loss = stanet_loss(output, torch.from_numpy(labels), lambda_)
    np.testing.assert_allclose(loss.item(), cross_entropy + lambda_ * l1, rtol=1e-12)


def test_the_gradient_of_the_penalty_is_lambda_over_the_number_of_clips():
    logits, mask, labels = outputs()
    mask = torch.from_numpy(mask).requires_grad_()
    stanet_loss(STANetOutput(torch.from_numpy(logits), mask, None), torch.from_numpy(labels), 0.3).backward()
    np.testing.assert_allclose(mask.grad.numpy(), 0.3 / len(mask), rtol=1e-12)


def test_the_penalty_means_the_same_at_every_batch_size():
    mask = torch.rand(1, 5, 2, 3, 3)
    assert torch.isclose(mask_l1(mask), mask_l1(mask.expand(7, -1, -1, -1, -1)))


@pytest.mark.parametrize("lambda_", [1e-8, 10.0])
def test_without_a_mask_the_loss_is_cross_entropy(lambda_):
    logits, _, labels = outputs()
    output = STANetOutput(torch.from_numpy(logits), None, None)
    loss = stanet_loss(output, torch.from_numpy(labels), lambda_)
    assert loss == torch.nn.functional.cross_entropy(output.logits, torch.from_numpy(labels))


@pytest.mark.parametrize(("spatial", "temporal"), VARIANTS)
def test_shapes_of_every_variant(spatial, temporal):
    model = STANet(5, spatial_attention=spatial, temporal_attention=temporal)
    output = model(torch.randn(2, 7, 2, 64, 72))
    assert output.logits.shape == (2, 5)
    assert (output.mask is None) == (not spatial)
    assert (output.weights is None) == (not temporal)
    if spatial:
        assert output.mask.shape[:2] == (2, 7) and output.mask.dim() == 5
    if temporal:
        assert output.weights.shape == (2, 7)
        torch.testing.assert_close(output.weights.sum(dim=1), torch.ones(2))


def test_variants_start_from_equal_values_where_they_share_a_parameter():
    full = STANet(4, seed=7).state_dict()
    for spatial, temporal in VARIANTS:
        state = STANet(4, spatial_attention=spatial, temporal_attention=temporal, seed=7).state_dict()
        assert set(state) <= set(full)
        assert all(torch.equal(value, full[name]) for name, value in state.items())
        assert any(name.startswith("spatial.attention.") for name in state) == spatial
        assert any(name.startswith("temporal.branch.") for name in state) == temporal


def test_the_start_depends_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    one = STANet(4, seed=7).state_dict()
    torch.manual_seed(2)
    again, other = STANet(4, seed=7).state_dict(), STANet(4, seed=8).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    weights = [name for name, value in one.items() if value.dim() > 1]
    first = [one[name].flatten()[:4].tolist() for name in weights]
    assert all(first.count(values) == 1 for values in first), "two parameters start from the same numbers"
    assert all(not torch.equal(one[name], other[name]) for name in weights)


def test_faint_motion_does_not_vanish():
    # Flow a hundred times fainter is the same to a network that normalises its input.
    flow = torch.randn(2, 5, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    model = STANet(4)
    strong, faint = model(flow).logits, model(flow * 0.01).logits
    torch.testing.assert_close(strong, faint, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("shape", [(2, 5, 3, 64, 64), (5, 2, 64, 64), (2, 5, 2, 31, 80)])
def test_a_wrong_shape_is_an_error(shape):
    with pytest.raises(ValueError, match="expected flow of shape"):
        STANet(4)(torch.zeros(shape))


@pytest.mark.parametrize("pooling", [1, 3])
def test_the_smallest_input_is_that_which_params_yaml_allows(pooling):
    model = STANet(4, pooling=pooling)
    assert model.smallest == 32 * pooling
    assert model(torch.randn(2, 3, 2, model.smallest, model.smallest)).mask.shape[-2:] == (4, 4)


def test_a_region_knows_where_it_is_and_a_global_average_does_not():
    # Equal motion in two places: one region sums up the same face, nine tell them apart.
    maps = torch.zeros(2, 96, 6, 6)
    maps[0, :, :2, :2] = maps[1, :, 4:, 4:] = 1
    for regions, told_apart in ((1, False), (3, True)):
        module = STANet(4, regions=regions).spatial
        one, two = module.features(network._resample(maps, (regions, regions), network._averaging).flatten(1))
        assert torch.allclose(one, two) != told_apart


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_the_readout_is_the_last_state_or_the_mean(readout):
    model = STANet(4, readout=readout).eval()
    seen = {}
    model.temporal.trunk.register_forward_hook(lambda module, inputs, output: seen.update(states=output[0]))
    model.classifier.register_forward_hook(lambda module, inputs, output: seen.update(summary=inputs[0]))
    model(torch.randn(2, 5, 2, 64, 64))
    expected = seen["states"][:, -1] if readout == "last" else seen["states"].mean(dim=1)
    torch.testing.assert_close(seen["summary"], expected)


@pytest.mark.parametrize("before", [(2, 3), (5, 4)])
@pytest.mark.parametrize("after", [(4, 6), (5, 5), (11, 9)])
def test_upsampling_is_that_of_pytorch(before, after):
    maps = torch.randn(3, 4, *before, dtype=torch.float64)
    expected = functional.interpolate(maps, size=after, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network._upsample(maps, torch.empty(3, 4, *after)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("regions", [1, 2, 3])
@pytest.mark.parametrize("size", [(3, 3), (6, 5), (7, 10)])
def test_averages_over_regions_are_those_of_adaptive_pooling(size, regions):
    maps = torch.randn(3, 4, *size, dtype=torch.float64)
    averages = network._resample(maps, (regions, regions), network._averaging)
    torch.testing.assert_close(averages, functional.adaptive_avg_pool2d(maps, regions), rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", [1, 2, 3])
def test_the_flow_is_averaged_over_squares_of_pixels(pooling):
    flow = torch.randn(2, 2, 31, 40, dtype=torch.float64)
    torch.testing.assert_close(
        network._average(flow, pooling), functional.avg_pool2d(flow, pooling), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("attention", [True, False])
def test_the_temporal_module_computes_in_float32_when_layers_are_in_bfloat16(attention):
    module = STANet(4, temporal_attention=attention).temporal
    features = torch.randn(2, 5, 96, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        summary, weights = module(features)
    expected, expected_weights = module(features.float())
    assert summary.dtype == torch.float32 and torch.equal(summary, expected)
    assert weights is None if not attention else torch.equal(weights, expected_weights)


def test_weights_and_loss_stay_in_float32_when_layers_are_in_bfloat16():
    model = STANet(4)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 2, 64, 64))
        loss = stanet_loss(output, torch.tensor([0, 1]), 1e-3)
    assert output.mask.dtype == output.logits.dtype == torch.bfloat16
    assert output.weights.dtype == loss.dtype == torch.float32
    assert mask_l1(output.mask).dtype == torch.float32
    torch.testing.assert_close(output.weights.sum(dim=1), torch.ones(2), rtol=0, atol=1e-6)
    # A sum of 2000 values in bfloat16 (8 bits) would stop growing at 512.
    torch.testing.assert_close(mask_l1(torch.full((1, 1, 2, 40, 25), 0.5).bfloat16()), torch.tensor(1000.0))
