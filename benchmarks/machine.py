"""What a machine does: time of a call, rate of its matrix products, memory held."""

import resource
import sys
import time
from collections.abc import Callable

import torch

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts memory


def seconds(run: Callable[[], object], device: torch.device, times: int = 4) -> float:
    """Least time of a call: what the machine does when no other program takes its cores."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return min(taken)


def matrix_rate(device: torch.device) -> float:
    """GFLOP/s of a float32 product of two 4096 x 4096 matrices, without TF32."""
    a, b = (torch.rand(4096, 4096, device=device) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        return 2 * 4096**3 / seconds(lambda: a @ b, device) / 1e9
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def peak_memory(device: torch.device) -> float:
    """GiB that this process has held at most so far, on the GPU if it works there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 2**30
