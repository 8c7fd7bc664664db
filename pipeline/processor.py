"""One arithmetic on all x86-64 processors, as far as their libraries allow.

NumPy and OpenCV choose, when they are loaded, the widest instructions of the processor. Those of AVX-512 round some
functions otherwise than those of AVX2, so that the frames of the embedded dataset, flow and features had other last
digits on a processor that has them, and other bytes. Without them, an AMD EPYC with AVX2 and an Intel Xeon with AVX-512
compute equal bytes of everything but networks, and no stage takes longer. PyTorch keeps all instructions: its sums
differ from processor to processor anyway, and training would be slower.
"""

import os
from collections.abc import Collection, MutableMapping
from pathlib import Path

_NUMPY = {"X86_V4": "avx512bw", "AVX512_ICL": "avx512_vbmi2", "AVX512_SPR": "avx512_fp16"}
"""What NumPy calls a group of instructions, and one of them as Linux calls it."""


def instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Groups of instructions of this processor as Linux calls them; nothing is known of others than x86-64 on Linux."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def compute_alike(environment: MutableMapping[str, str] = os.environ, available: Collection[str] | None = None) -> None:
    """Have NumPy and OpenCV compute with AVX2 at most, in this process and in those that it starts.

    Variables that the user has set stay. The libraries read them when they are loaded: called after `import numpy`,
    this changes nothing here, only in the processes that are started later.

    Parameters
    ----------
    environment
        Variables of the process, changed in place.
    available
        Groups of instructions of the processor; those of this one if it is None.
    """
    found = instructions() if available is None else available
    wanted = {}
    if "avx2" in found:
        wanted["OPENBLAS_CORETYPE"] = "Zen"  # of NumPy's and SciPy's matrix products
    # To disable what is not there would be answered by warnings.
    if wider := [name for name, instruction in _NUMPY.items() if instruction in found]:
        wanted["NPY_DISABLE_CPU_FEATURES"] = " ".join(wider)
        wanted["OPENCV_CPU_DISABLE"] = "AVX512-SKX"
        wanted["OPENCV_IPP"] = "avx2"
    for name, value in wanted.items():
        environment.setdefault(name, value)
