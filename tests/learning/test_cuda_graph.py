"""What can be seen of recorded steps without a GPU: that the warm-up before a recording leaves no trace."""

import copy

import pytest
import torch
from torch import nn

from pipeline.learning.cuda_graph import unchanged


def learn(network, optimiser):
    optimiser.zero_grad()
    network(torch.randn(4, 3, generator=torch.Generator().manual_seed(0))).square().mean().backward()
    optimiser.step()


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("steps_before", [0, 2])
def test_steps_that_are_taken_back_leave_no_trace(network, steps_before):
    """A twin that never took them learns the same afterwards, bit by bit."""
    twin = copy.deepcopy(network)
    ours, theirs = (torch.optim.Adam(one.parameters(), lr=0.1, fused=True) for one in (network, twin))
    for _ in range(steps_before):
        learn(network, ours)
        learn(twin, theirs)
    places = [value.data_ptr() for value in (*network.parameters(), *network.buffers())]
    with unchanged(network, ours):
        for _ in range(3):
            learn(network, ours)
        assert not torch.equal(network[0].weight, twin[0].weight)
        assert not torch.equal(network[1].running_mean, twin[1].running_mean)
    assert [value.data_ptr() for value in (*network.parameters(), *network.buffers())] == places
    for _ in range(2):
        learn(network, ours)
        learn(twin, theirs)
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in network.state_dict().items())
