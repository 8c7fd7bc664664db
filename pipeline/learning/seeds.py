"""The rule of the seeds: where every random number of a training comes from.

`params.yaml` has one seed for the study. From it, the name of the dataset and the subject held out follows the seed of
a fold, and from that one everything that is random in its training:

- the initial value of each parameter: a stream of its own, from the fold's seed and the parameter's name (the network
  draws them when it is made);
- the order of the clips and the views they are shown in: one stream from the fold's seed (`learning.training`);
- what dropout drops in an epoch: a stream of its own, from the fold's seed and the number of the epoch.

No stream depends on what ran before it, nor on the device.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def fold_seed(seed: int, dataset: str, subject: str) -> int:
    """Seed of the fold of `dataset` that holds `subject` out, from the seed of the study: an integer of 63 bits."""
    return derived_seed(seed, dataset, subject)


def derived_seed(seed: int, *names: str) -> int:
    """Seed of what has these names: the first 63 bits of the SHA-256 of the seed and the names."""
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int) -> torch.Generator:
    """A stream of random numbers of its own, on the CPU: whatever the device, it gives the same ones."""
    return torch.Generator().manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that PyTorch's dropout draws from within the block, and restore them after it.

    Dropout takes no generator of its own: it draws from the global one of the CPU or of the GPU `device`.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
