"""A step of a training on a GPU, recorded once and launched as one.

The step of a small network is hundreds of small kernels. Launched one by one they leave the GPU waiting for the CPU; a
CUDA graph (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs) launches all of them at once, and they
compute what they would have computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest

import torch
from torch import Tensor, nn

_WARM_UP = 3  # steps before a recording, in which libraries choose their algorithms and fetch their memory


class Recorded:
    """The step `step`, with a recording for every size of batch that it meets.

    Parameters
    ----------
    step
        Tensors on the GPU, whose first dimensions are the size of the batch -> a tensor. It changes the network and the
        optimiser's state and nothing else, never waits for the GPU, and does not depend on a value that the CPU sees.
    network
        What is trained.
    optimiser
        Trains it, with `capturable=True`.
    """

    def __init__(self, step: Callable[..., Tensor], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._step, self._network, self._optimiser = step, network, optimiser
        self._recordings: dict[int, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Do the step. What comes back holds until the next one."""
        size = len(inputs[0])
        with torch.cuda.device(inputs[0].device):  # of several GPUs, that of the network
            if size not in self._recordings:
                self._warm_up(inputs)
                self._recordings[size] = self._record(inputs)
            graph, places, result = self._recordings[size]
            for place, value in zip(places, inputs, strict=True):
                place.copy_(value)
            graph.replay()
        return result

    def _warm_up(self, inputs: tuple[Tensor, ...]) -> None:
        aside = torch.cuda.Stream()
        device = inputs[0].device
        # Dropout would draw numbers that an interrupted training, which warms up in another epoch, does not draw.
        with unchanged(self._network, self._optimiser), torch.random.fork_rng([device]):
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    self._step(*inputs)
            torch.cuda.current_stream().wait_stream(aside)

    def _record(self, inputs: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
        places = [value.clone() for value in inputs]
        graph = torch.cuda.CUDAGraph()
        self._optimiser.zero_grad()  # gradients lie in the memory of the graph
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = self._step(*places)
        return graph, places, result


@contextmanager
def unchanged(network: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """Whatever is trained within, parameters, buffers and the optimiser's state keep their values and their places.

    State that the optimiser makes within is zero afterwards, which is how Adam begins.
    """
    before = [value.detach().clone() for value in _state(network, optimiser)]
    yield
    with torch.no_grad():
        for value, kept in zip_longest(_state(network, optimiser), before):
            value.zero_() if kept is None else value.copy_(kept)


def _state(network: nn.Module, optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Everything that a step changes, in the same order each time; what the optimiser adds comes last."""
    kept = [value for values in optimiser.state.values() for value in values.values()]
    return [*network.parameters(), *network.buffers(), *kept]
