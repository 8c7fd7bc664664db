"""The two networks: shapes, what is frozen, and what the loss is made of."""

import pytest
import torch

from pipeline.networks.cnn_lstm import objectives
from pipeline.networks.cnn_lstm.network import CNNLSTM, StatesCNN, Weights, states_loss

PICTURES = 255 * torch.rand(4, 5, 1, 40, 40, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 1, 2])
NEARLY = {"rtol": 1e-3, "atol": 1e-4}  # the mean over the states is a sum in another order


def cnn(**changes):
    return StatesCNN(**{"classes": 3, "size": 40, "pooling": 1, "features": 8, "seed": 0} | changes)


def test_the_cnn_tells_class_and_state_of_every_frame():
    output = cnn()(PICTURES)
    assert output.features.shape == (4, 5, 8)
    assert output.class_logits.shape == (4, 5, 3) and output.state_logits.shape == (4, 5, 5)
    torch.testing.assert_close(output.logits, output.class_logits.mean(dim=1))


@pytest.mark.parametrize(("size", "pooling"), [(40, 1), (41, 2), (168, 2), (33, 2)])
def test_the_full_layer_fits_every_size(size, pooling):
    network = cnn(size=size, pooling=pooling).eval()
    assert network(torch.zeros(1, 5, 1, size, size)).features.shape == (1, 5, 8)


def test_the_cnn_knows_no_order_of_the_states():
    network = cnn().eval()
    shuffled = [3, 0, 4, 1, 2]
    torch.testing.assert_close(
        network.features(PICTURES[:, shuffled]), network.features(PICTURES)[:, shuffled], **NEARLY
    )


def test_what_is_the_same_in_all_states_of_a_clip_is_not_seen():
    """Another face behind the same changes: the features are equal."""
    network = cnn().eval()
    behind = 100 * torch.rand(4, 1, 1, 40, 40, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.features(PICTURES + behind), network.features(PICTURES), **NEARLY)
    still = network.features(PICTURES[:, :1].expand(-1, 5, -1, -1, -1))
    torch.testing.assert_close(still, still[:1, :1].expand_as(still))


def test_the_lstm_follows_the_order_of_the_states():
    network = CNNLSTM(cnn(), 3, features=8, hidden=6, seed=0).eval()
    assert network(PICTURES).logits.shape == (4, 3)
    assert not torch.allclose(network(PICTURES).logits, network(PICTURES.flip(1)).logits)


def test_what_the_cnn_has_learnt_changes_no_more():
    trained = cnn()
    trained(PICTURES)  # its batch normalisation has statistics now
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    network = CNNLSTM(trained, 3, features=8, hidden=6, seed=0).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(PICTURES).logits, CLASSES).backward()
        optimiser.step()
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    fresh = CNNLSTM(cnn(), 3, features=8, hidden=6, seed=0)
    assert not torch.equal(network.lstm.weight_ih_l0, fresh.lstm.weight_ih_l0)


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("class_error", lambda output: objectives.class_error(output.class_logits, CLASSES)),
        ("class_spread", lambda output: objectives.class_spread(output.features, CLASSES)),
        ("state_error", lambda output: objectives.state_error(output.state_logits)),
        ("state_spread", lambda output: objectives.state_spread(output.features, CLASSES)),
        ("state_continuity", lambda output: objectives.state_continuity(output.features)),
    ],
)
def test_each_weight_is_that_of_its_objective(name, alone):
    names = ("class_error", "class_spread", "state_error", "state_spread", "state_continuity")
    output = cnn()(PICTURES)
    weights = Weights(**dict.fromkeys(names, 0.0) | {name: 2.0})
    assert alone(output) > 0
    torch.testing.assert_close(states_loss(output, CLASSES, weights), 2 * alone(output))


def test_the_seed_decides_the_initial_values():
    assert torch.equal(cnn().full[0].weight, cnn().full[0].weight)
    assert not torch.equal(cnn().full[0].weight, cnn(seed=1).full[0].weight)
