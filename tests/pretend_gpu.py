"""A GPU for machines without one: a device of its own, whose tensors lie on the CPU but never meet those of the CPU.

It computes what the CPU computes, and refuses what a GPU refuses: an operator whose tensors lie on two devices, or a
NumPy array of a tensor that was not fetched. So a test sees every value that was left on the wrong side. It cannot
tell what a GPU's own arithmetic, memory or speed would do.

With a real GPU it is not made, and its tests are skipped: PyTorch's automatic differentiation serves one kind of device
beside the CPU, and would take the pretended one for the real one.
"""

from types import SimpleNamespace

import pytest
import torch
from torch.utils import _pytree, backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

_KIND = "pretended"

_REAL = torch.cuda.is_available()

if not _REAL:
    backend_registration._setup_privateuseone_for_python_backend(
        _KIND,
        backend_module=SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: True,
            device_count=lambda: 1,
            current_device=lambda: 0,
            get_amp_supported_dtype=lambda: [],
            _is_in_bad_fork=lambda: False,
            manual_seed_all=lambda seed: None,
        ),
    )
    _autocast = torch.library.Library("_", "IMPL")  # PyTorch forgets what is registered with its last reference
    _autocast.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")

DEVICE = torch.device("cuda" if _REAL else _KIND, 0)

_aten = torch.ops.aten
_BETWEEN_DEVICES = {_aten._to_copy.default, _aten.copy_.default}


class Tensor(torch.Tensor):
    """A tensor on the pretended GPU."""

    @staticmethod
    def __new__(cls, content: torch.Tensor) -> "Tensor":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            content.shape,
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device=DEVICE,
        )

    def __init__(self, content: torch.Tensor) -> None:
        self.content = content

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return _run(operator, args, kwargs or {})

    def tolist(self) -> list:
        """Fetches the values, as from a GPU; PyTorch has no such method for classes of one's own."""
        return self.content.tolist()

    def __reduce_ex__(self, protocol):
        """Saved like a tensor of the CPU."""
        return self.content.__reduce_ex__(protocol)


class PretendGPU(TorchDispatchMode):
    """Within it, `DEVICE` can be used as a device."""

    def __enter__(self):
        if _REAL:
            pytest.skip("there is a real GPU, and autograd serves one kind of device beside the CPU")
        # `torch.tensor` makes its tensor on the CPU, and then copies it by an operator that this mode sees.
        self._before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    def __exit__(self, *error):
        torch._C._set_only_lift_cpu_tensors(self._before)
        return super().__exit__(*error)

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return _run(operator, args, kwargs or {})


def _run(operator, args, kwargs):
    values, structure = _pytree.tree_flatten((args, kwargs))
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    # Numbers may come from the CPU, as everywhere in PyTorch.
    kinds = {value.device.type for value in tensors if value.dim() or isinstance(value, Tensor)}
    if len(kinds) > 1 and operator not in _BETWEEN_DEVICES:
        raise RuntimeError(f"{operator}: expected all tensors on one device, found {', '.join(sorted(kinds))}")
    if operator is _aten._pin_memory.default:
        return args[0].clone()
    if operator is _aten.copy_.default:
        kinds = {args[0].device.type}
    if kwargs.get("device") is not None:
        kinds = {torch.device(kwargs["device"]).type}
    args, kwargs = _pytree.tree_unflatten([_on_the_cpu(value) for value in values], structure)
    result = operator(*args, **kwargs)
    if _KIND not in kinds:
        return result
    in_place = {id(value.content): value for value in tensors if isinstance(value, Tensor)}

    def on_the_gpu(value: torch.Tensor) -> Tensor:
        return in_place[id(value)] if id(value) in in_place else Tensor(value)

    return _pytree.tree_map_only(torch.Tensor, on_the_gpu, result)


def _on_the_cpu(value):
    if isinstance(value, Tensor):
        return value.content
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _lstm_cell(inputs, hidden, cell, input_bias=None, hidden_bias=None):
    """The step of an LSTM, which PyTorch leaves to every kind of GPU."""
    gates = inputs + hidden + (0 if input_bias is None else input_bias + hidden_bias)
    write, forget, candidate, read = gates.chunk(4, dim=1)
    cell = forget.sigmoid() * cell + write.sigmoid() * candidate.tanh()
    return read.sigmoid() * cell.tanh(), cell, gates


for _key in () if _REAL else ("AutogradPrivateUse1", "PrivateUse1"):
    torch.library.impl("aten::_thnn_fused_lstm_cell", _key, _lstm_cell)
