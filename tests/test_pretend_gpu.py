"""The pretended GPU is strict, so that the tests that use it can fail."""

import pytest
import torch

from tests.pretend_gpu import DEVICE, PretendGPU


@pytest.fixture(autouse=True)
def pretended():
    with PretendGPU():
        yield


def test_it_computes_what_the_cpu_computes():
    here = torch.linspace(-1, 1, 6).requires_grad_()
    there = torch.linspace(-1, 1, 6, device=DEVICE).requires_grad_()
    for values in (here, there):
        (values.exp() * torch.tensor(2.0)).sum().backward()
    assert there.device == there.grad.device == DEVICE
    assert torch.equal(there.grad.cpu(), here.grad)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda here, there: here + there,
        lambda here, there: there.add_(here),
        lambda here, there: torch.cat([here, there]),
        lambda here, there: there[here.long()],
        lambda here, there: here.index_select(0, there.long()),
    ],
)
def test_it_refuses_tensors_of_two_devices(mixed):
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        mixed(torch.zeros(3), torch.zeros(3, device=DEVICE))


def test_it_must_be_asked_for_its_values():
    there = torch.ones(2, device=DEVICE)
    with pytest.raises(RuntimeError):
        there.numpy()
    assert there.cpu().numpy().tolist() == there.tolist() == [1, 1]
