"""Whether PyTorch can compile networks on this machine."""

import random
from functools import cache

import torch

from pipeline.errors import InputError


@cache
def check_compiler(device: torch.device) -> None:
    """Compile a small function and run it; takes seconds.

    Parameters
    ----------
    device
        Where networks will be trained: CPUs need a C++ compiler, GPUs a C compiler.

    Raises
    ------
    InputError
        It cannot be compiled.
    """
    length = random.randrange(8, 2**24)  # code that PyTorch's cache on disk does not have
    torch.compiler.reset()
    try:
        torch.compile(torch.sin, dynamic=False)(torch.zeros(length, device=device))
    except Exception as error:  # there are errors of every part of the compiler, and none that all of them are
        raise InputError(
            "params.yaml: train.compile is true, but PyTorch cannot compile a network on this machine: "
            f"{str(error).strip().partition(chr(10))[0]}. Install a C++ compiler (Debian and Ubuntu: apt install g++), "
            "or set train.compile to false"
        ) from error
    finally:
        torch.compiler.reset()
