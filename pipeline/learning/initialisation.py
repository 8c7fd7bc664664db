"""Initial values of a network: each parameter is drawn from the seed and its own name, by the rule of the seeds."""

from torch import nn

from pipeline.learning.seeds import derived_seed, generator


def initialise(network: nn.Module, seed: int) -> None:
    """Draw every weight from a generator of its own; scales are those of He et al. (2015) and of PyTorch's LSTM.

    Networks that share a parameter start from equal values of it, whatever else is in them.
    """
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            stream = generator(derived_seed(seed, name))
            if isinstance(module, nn.Conv2d) and parameter.dim() == 4:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=stream)
            elif isinstance(module, nn.LSTM):
                bound = module.hidden_size**-0.5
                nn.init.uniform_(parameter, -bound, bound, generator=stream)
            elif isinstance(module, nn.Linear) and parameter.dim() == 2:
                nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=stream)
            elif isinstance(module, nn.Conv2d | nn.Linear):  # biases; batch normalisation starts as the identity
                nn.init.zeros_(parameter)
