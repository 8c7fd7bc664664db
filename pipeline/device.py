"""Which device computes."""

import torch

from pipeline.errors import InputError


def resolve_device(name: str) -> torch.device:
    """Device by name, as in `runtime.device`; `auto` is CUDA when there is one and the CPU otherwise.

    Raises
    ------
    InputError
        CUDA was asked for by name and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"params.yaml: runtime.device is {name}, but PyTorch sees {torch.cuda.device_count()} CUDA devices; "
            "use auto"
        )
    return device
