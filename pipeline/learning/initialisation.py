"""Initial values of a network: each parameter is drawn from the seed and its own name, by the rule of the seeds."""

from collections.abc import Iterator

import torch
from torch import nn

from pipeline.learning.seeds import derived_seed, generator


def initialise(network: nn.Module, seed: int) -> None:
    """Draw every weight from a generator of its own; scales are those of He et al. (2015) and of PyTorch's LSTM.

    Networks that share a parameter start from equal values of it, whatever else is in them.
    """
    for module, name, parameter, stream in parameters_with_streams(network, seed):
        if isinstance(module, nn.Conv2d) and name == "weight":
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=stream)
        elif isinstance(module, nn.LSTM):
            bound = module.hidden_size**-0.5
            nn.init.uniform_(parameter, -bound, bound, generator=stream)
        elif isinstance(module, nn.Linear) and name == "weight":
            nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=stream)
        elif isinstance(module, nn.Conv2d | nn.Linear):  # biases; batch normalisation starts as the identity
            nn.init.zeros_(parameter)


def initialise_as_pytorch(network: nn.Module, seed: int) -> None:
    """Draw weights and biases of convolutions and linear layers from PyTorch's default distributions.

    All are uniform within 1 / sqrt(number of inputs of one output); batch normalisation starts as the identity.
    """
    for module, _, parameter, stream in parameters_with_streams(network, seed):
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = fan_in_bound(module)
            nn.init.uniform_(parameter, -bound, bound, generator=stream)


def fan_in_bound(module: nn.Conv2d | nn.Linear) -> float:
    """Return the bound of PyTorch's default initial values: 1 / sqrt(number of inputs of one output)."""
    return float(module.weight[0].numel() ** -0.5)


def parameters_with_streams(
    network: nn.Module, seed: int
) -> Iterator[tuple[nn.Module, str, nn.Parameter, torch.Generator]]:
    """Yield every parameter: its module, its name in the module, itself, and the generator that it is drawn from."""
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield module, name, parameter, generator(derived_seed(seed, f"{path}.{name}" if path else name))
