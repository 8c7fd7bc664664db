"""The networks that read flow from onset to apex: layers, parameters, initial values, training."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import nn

from pipeline import networks
from pipeline.errors import InputError
from pipeline.learning import training
from pipeline.networks.rcn_a.method import activation_map
from pipeline.networks.ststnet.method import FILTERS
from pipeline.storage import resume

ROOT = Path(__file__).parents[2]
NAMES = ("dual_inception", "off_apexnet", "rcn_a", "ststnet")


def flow(count, seed=0, size=48):
    """Key-frame flow of two classes: a brow that rises or a corner of the mouth that is drawn, in noise."""
    fields = np.random.default_rng(seed).normal(scale=0.02, size=(count, 2, size, size)).astype(np.float32)
    labels = np.arange(count) % 2
    fields[labels == 0, 1, 8:16, 8:40] -= 1.0
    fields[labels == 1, 0, 32:40, 28:40] += 1.0
    return fields, labels


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_params_yaml_are_those_of_the_source(name):
    block = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")["networks"][name]
    assert block == dataclasses.asdict(networks.settings(name))


@pytest.mark.parametrize(
    ("name", "optimiser"),
    [
        ("ststnet", dict(epochs=800, lr=5e-5, batch_size=256, momentum=None, shuffle=False)),
        ("off_apexnet", dict(epochs=3000, lr=1e-4, batch_size=64, momentum=None, shuffle=True)),
        ("dual_inception", dict(epochs=501, lr=1e-3, batch_size=64, momentum=None, shuffle=True)),
        ("rcn_a", dict(epochs=100, lr=5e-4, batch_size=64, momentum=0.9, shuffle=True)),
    ],
)
def test_the_training_is_that_of_the_source(name, optimiser):
    [phase] = networks.network(name).phases(3, networks.settings(name), 0)
    assert {key: getattr(phase.settings, key) for key in optimiser} == optimiser
    assert phase.settings.weight_decay == 0


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("ststnet", 3, 1_683),
        ("ststnet", 5, 1_683 + 2 * 401),
        ("off_apexnet", 3, 2_664_475),
        ("dual_inception", 3, 6_449_867),
        ("rcn_a", 3, 55_747),
    ],
)
def test_parameters(name, classes, parameters):
    assert sum(parameter.numel() for parameter in networks.build(name, classes).parameters()) == parameters


def shapes(name, prepared):
    """The shape after every layer that is called, by its name."""
    network, found = networks.build(name, 3).eval(), {}
    for path, module in network.named_modules():
        module.register_forward_hook(lambda module, _, out, path=path: found.update({path: out}))
    assert network(prepared).logits.shape == (len(prepared), 3)
    return {path: tuple(out.shape[1:]) for path, out in found.items() if isinstance(out, torch.Tensor)}


def test_shapes_of_ststnet():
    found = shapes("ststnet", torch.zeros(2, 3, 28, 28))
    assert [found[f"streams.{layer}"] for layer in range(5)] == [(16, 30, 30)] * 3 + [(16, 10, 10)] * 2
    assert found["pool"] == (16, 5, 5) and found["classifier"] == (3,)


def test_shapes_of_off_apexnet():
    found = shapes("off_apexnet", torch.zeros(2, 2, 28, 28))
    for stream in ("horizontal", "vertical"):
        layers = [found[f"{stream}.{layer}"] for layer in range(4)]
        assert layers == [(6, 28, 28), (6, 14, 14), (16, 14, 14), (16, 7, 7)]
    assert [found[f"full.{layer}"] for layer in range(6)] == [(1024,)] * 6 and found["classifier"] == (3,)
    assert networks.build("off_apexnet", 3).full[0].in_features == 1568


def test_shapes_of_dual_inception():
    found = shapes("dual_inception", torch.zeros(2, 2, 28, 28))
    for stream in ("horizontal", "vertical"):
        for block, width, side in ((0, 6, 28), (1, 16, 14)):
            for path in ("five", "three", "pooled", "one"):
                assert found[f"{stream}.{block}.{path}"] == (width, side, side)
            assert found[f"{stream}.{block}"] == (4 * width, side // 2, side // 2)
    assert found["full"] == (1024,) and networks.build("dual_inception", 3).full[0].in_features == 6272


def test_shapes_of_rcn_a():
    found = shapes("rcn_a", torch.zeros(2, 3, 60, 60))
    assert [found[f"first.{layer}"] for layer in range(5)] == [(64, 56, 56)] * 3 + [(64, 28, 28)] * 2
    assert [found[f"block.{layer}"] for layer in range(3)] == [(64, 28, 28), (64, 14, 14), (64, 14, 14)]
    assert found["pool"] == (64, 7, 7) and found["classifier"] == (3,)


@pytest.mark.parametrize("training", [True, False])
def test_one_convolution_of_16_maps_is_three_streams(training):
    """The network with its weights cut into streams of 3, 5 and 8 filters, each with layers of its own."""
    network = networks.build("ststnet", 3, dropout=0.0).train(training)
    with torch.no_grad():
        network.streams[2].weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(3))
        network.streams[2].bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(4))
    shown = 255 * torch.rand(6, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    streams, start = [], 0
    for filters in FILTERS:
        own = slice(start, start + filters)
        start += filters
        convolution, norm = nn.Conv2d(3, filters, 3, padding=2), nn.BatchNorm2d(filters)
        convolution.load_state_dict({key: value[own] for key, value in network.streams[0].state_dict().items()})
        for key in ("weight", "bias"):
            getattr(norm, key).data = getattr(network.streams[2], key).data[own].clone()
        norm.train(training)
        streams.append(nn.MaxPool2d(3, 3, 1)(norm(torch.relu(convolution(shown)))))
    expected = network.classifier(nn.AvgPool2d(2)(torch.cat(streams, 1)).flatten(1))
    torch.testing.assert_close(network(shown).logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ststnet", "off_apexnet", "dual_inception"])
def test_initial_values_have_the_spread_of_pytorch(name):
    """Of every layer: within the bound of PyTorch's own, and as far from zero on average."""
    network = networks.build(name, 3)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight, bias = module.weight.detach().clone(), module.bias.detach().clone()
            module.reset_parameters()
            bound = weight[0].numel() ** -0.5
            for ours, pytorch in ((weight, module.weight.detach()), (bias, module.bias.detach())):
                assert 0 < ours.abs().max() <= bound and pytorch.abs().max() <= bound
                if len(ours.flatten()) > 400:
                    assert float(ours.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
                    assert float(pytorch.std()) == pytest.approx(float(ours.std()), rel=0.15)


def test_rcn_a_starts_as_its_source():
    network = networks.build("rcn_a", 3)
    spread = [(network.block[0].recurrent[0], (2 / (64 * 9)) ** 0.5)]  # by the fan out
    spread += [(network.first[0], (2 / (64 * 25)) ** 0.5), (network.classifier, 0.01)]
    for layer, expected in spread:
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)
    assert not network.classifier.bias.any() and network.first[0].bias.any()


def test_an_activation_map_is_the_mean_of_the_stretched_maps_of_the_classes():
    maps = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0], [-1.0, -1.0, -1.0, -1.0]])
    first = torch.tensor([[0.0, 0.25], [0.5, 1.0]])
    torch.testing.assert_close(activation_map(maps, weights)[0, 0], (first + (1 - first)) / 2)


def test_an_activation_map_without_a_difference_is_zero():
    assert (activation_map(torch.zeros(2, 4, 7, 7), torch.ones(3, 4 * 49)) == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_network_learns_what_can_be_learned(name):
    epochs = {"ststnet": 60, "off_apexnet": 30, "dual_inception": 15, "rcn_a": 40}[name]
    faster = {"ststnet": {"lr": 5e-3}, "rcn_a": {"lr": 2e-2}}.get(name, {})
    (train, labels), (test, answers) = flow(16), flow(8, seed=1)
    found = networks.fit_predict(name, train, labels, test, classes=2, epochs=epochs, threads=1, **faster)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == answers).mean() >= 0.75


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_bytes_whatever_ran_before(name):
    (train, labels), (test, _) = flow(6), flow(3, seed=1)
    torch.manual_seed(1)
    one = networks.fit_predict(name, train, labels, test, classes=2, epochs=2, threads=1)
    torch.manual_seed(2)
    two = networks.fit_predict(name, train, labels, test, classes=2, epochs=2, threads=1)
    other = networks.fit_predict(name, train, labels, test, classes=2, epochs=2, threads=1, seed=1)
    assert one.tobytes() == two.tobytes() != other.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_clips_of_one_class_and_clips_that_do_not_move_give_probabilities(name):
    train, test = np.zeros((4, 2, 48, 48), np.float32), np.zeros((2, 2, 48, 48), np.float32)
    found = networks.fit_predict(name, train, np.zeros(4, int), test, classes=3, epochs=3, threads=1)
    assert np.isfinite(found).all() and (found.argmax(axis=1) == 0).all()


def test_prepared_arrays_are_shown_as_they_are():
    (train, labels), (test, _) = flow(6), flow(3, seed=1)
    prepare, chosen = networks.network("ststnet").prepare, networks.settings("ststnet")
    ready = [np.stack([prepare(clip, chosen) for clip in clips]) for clips in (train, test)]
    assert ready[0].shape == (6, 3, 28, 28)
    one = networks.fit_predict("ststnet", train, labels, test, classes=2, epochs=2, threads=1)
    two = networks.fit_predict("ststnet", ready[0], labels, ready[1], classes=2, epochs=2, threads=1, prepared=True)
    assert one.tobytes() == two.tobytes()


def test_a_network_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"expected one of the networks .*ststnet.*found 'stsnet'"):
        networks.build("stsnet", 3)


@pytest.mark.parametrize("name", ["ststnet", "rcn_a"])
def test_a_resumed_training_drops_what_an_uninterrupted_one_drops(name, tmp_path):
    (shown, labels), method, chosen = flow(6), networks.network(name), networks.settings(name, epochs=4)
    clips = torch.from_numpy(np.stack([method.prepare(clip, chosen) for clip in shown]))

    def train(pieces=None, stop=None):
        def finished(epoch):
            if epoch.number == stop:
                raise InterruptedError

        return training.train_fold(
            method.phases(2, chosen, 0),
            clips,
            torch.arange(5),
            torch.from_numpy(labels[:5]),
            torch.tensor([5]),
            seed=0,
            device=torch.device("cpu"),
            threads=1,
            pieces=pieces,
            on_epoch=finished,
        )

    whole = train()
    with pytest.raises(InterruptedError), resume.resumable(tmp_path, "key") as pieces:
        train(pieces, stop=2)
    torch.manual_seed(99)
    with resume.resumable(tmp_path, "key") as pieces:
        assert max(pieces.finished) == 2
        resumed = train(pieces)
    assert resumed.probabilities.tobytes() == whole.probabilities.tobytes()
    assert all(torch.equal(resumed.state[key], value) for key, value in whole.state.items())
