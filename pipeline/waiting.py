"""How long a thread that waits for others keeps its core busy; no result depends on it.

OpenMP's threads, with which PyTorch computes, wait for each other many times in every step. One that waits spins for a
while before it sleeps, because waking up takes longer. On a core that another program wants, too, it spins away the
time of the very thread that it waits for: with libgomp's own 300,000 turns a training step takes 3.3 times as long
beside one busy process on two cores, with 3,000 turns 2.1 times, and no longer than before on a quiet machine; with
1,000 turns it takes 12 % longer there.

OpenCV's threads need no such care: from the 17th turn on they offer their core to others.
"""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

# Of GNU's OpenMP (libgomp), in PyTorch for Linux: turns. Of LLVM's, in PyTorch for macOS: milliseconds.
_BRIEFLY = {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "1"}

CHOICES = {
    "GOMP_SPINCOUNT": ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"),
    "KMP_BLOCKTIME": ("KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_WAIT_POLICY"),
}
"""What is set here, and the variables of which any shows that the user has chosen instead."""


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have threads that wait spin but briefly, in this process and in those that it starts, unless the user has chosen.

    OpenMP reads the environment when it is loaded. Called after `import torch`, this changes nothing here, only in the
    processes that are started later. The 1 ms for LLVM's OpenMP (its default is 200 ms) is untested: no Mac was at
    hand.

    Parameters
    ----------
    environment
        Variables of the process, changed in place.
    """
    chosen = set(environment)
    for name, value in _BRIEFLY.items():
        if chosen.isdisjoint(CHOICES[name]):
            environment[name] = value


@contextmanager
def sleeping_at_once(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have threads that wait not spin at all in the processes started within the block, unless the user has chosen.

    This is for more threads than cores, where each that spins takes a core from one that is waited for.

    Parameters
    ----------
    environment
        Variables of the process, changed in place and put back.
    """
    ours = {name: value for name, value in _BRIEFLY.items() if environment.get(name) == value}
    environment.update(dict.fromkeys(ours, "0"))
    try:
        yield
    finally:
        environment.update(ours)
