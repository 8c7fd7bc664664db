"""Closed forms of the five objectives."""

import math

import pytest
import torch

from pipeline.networks.cnn_lstm import objectives

CLASSES = torch.tensor([0, 0, 1])
STATES = 5


def spread_out(values):
    """Features (N, S, 1) from one number per clip and state."""
    return torch.tensor(values)[..., None]


def test_the_class_is_told_from_every_state_by_itself():
    """Logits of 0 say nothing: log K. One state of five that is sure of its class takes a fifth of that away."""
    logits = torch.zeros(3, STATES, 4)
    assert objectives.class_error(logits, CLASSES).item() == pytest.approx(math.log(4))
    for clip, label in enumerate(CLASSES):
        logits[clip, 2, label] = 1e4
    assert objectives.class_error(logits, CLASSES).item() == pytest.approx(math.log(4) * 4 / 5)


def test_the_state_is_the_position_in_the_clip():
    logits = torch.zeros(2, STATES, STATES)
    assert objectives.state_error(logits).item() == pytest.approx(math.log(5))
    right = 1e4 * torch.eye(STATES).expand(2, STATES, STATES)
    assert objectives.state_error(right).item() == pytest.approx(0, abs=1e-6)
    assert objectives.state_error(right.roll(1, dims=1)).item() == pytest.approx(1e4)


def test_the_spread_of_a_class_is_half_its_variance_whatever_the_state():
    """Class 0 has the values ±1 in equal numbers: variance 1. Class 1 has 0, 1, ..., 4: variance 2."""
    features = spread_out([[1.0, -1, 1, -1, 1], [-1, 1, -1, 1, -1], [0, 1, 2, 3, 4]])
    assert objectives.class_spread(features, CLASSES).item() == pytest.approx((10 * 1 + 5 * 2) / 15 / 2)


def test_the_spread_of_a_state_is_that_of_its_class_alone():
    """Class 0: in state 0 ±1 about a mean of 0, in the others equal clips. Class 1 is one clip: no spread."""
    features = spread_out([[1.0, 5, 6, 7, 8], [-1, 5, 6, 7, 8], [0, 1, 2, 3, 4]])
    assert objectives.state_spread(features, CLASSES).item() == pytest.approx(2 * 1 / 15 / 2)
    assert objectives.state_spread(features, torch.tensor([0, 1, 2])).item() == 0


def test_clips_that_are_equal_state_by_state_spread_only_between_their_states():
    clip = [0.0, 1, 2, 3, 4]
    features = spread_out([clip, clip, clip])
    assert objectives.state_spread(features, CLASSES).item() == 0
    assert objectives.class_spread(features, CLASSES).item() == pytest.approx(2 / 2)


def test_continuity_is_half_the_squared_step_from_state_to_state():
    even = spread_out([[0.0, 3, 6, 9, 12]])
    assert objectives.state_continuity(even).item() == pytest.approx(9 / 2)
    jump = spread_out([[0.0, 0, 0, 12, 12]])  # the same way in one step: 4 times as dear
    assert objectives.state_continuity(jump).item() == pytest.approx(144 / 4 / 2)
    assert objectives.state_continuity(torch.ones(2, STATES, 3)).item() == 0


@pytest.mark.parametrize("objective", [objectives.class_spread, objectives.state_spread])
def test_a_shift_of_all_features_changes_no_spread_and_a_factor_its_square(objective):
    features = torch.randn(6, STATES, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 0, 2, 1, 0])
    plain = objective(features, classes)
    torch.testing.assert_close(objective(features + 7, classes), plain)
    torch.testing.assert_close(objective(3 * features, classes), 9 * plain)
    torch.testing.assert_close(objective(features.repeat(2, 1, 2), classes.repeat(2)), plain)


def test_the_gradient_draws_every_feature_to_its_mean():
    """d/df of the mean of (f - m)^2 / 2 over M values is (f - m) / M: what goes through the means cancels."""
    features = torch.randn(4, STATES, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    features.requires_grad_()
    classes = torch.tensor([0, 0, 1, 1])
    objectives.class_spread(features, classes).backward()
    means = torch.stack([features[:2].mean(dim=(0, 1))] * 2 + [features[2:].mean(dim=(0, 1))] * 2)
    torch.testing.assert_close(features.grad, ((features - means[:, None]) / features.numel()).detach())
