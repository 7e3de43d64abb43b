"""A pretended GPU: tensors that claim to be on "cuda" while the CPU computes their values.

Every operation is checked as on a GPU: all tensors are on one device, a generator and an index are where they
must be, and a fused kernel's weights and gradients are laid out alike. So mixing devices raises as it would there,
and since the values are right, whole trainings run and end with the same numbers as on a CPU. Whatever makes the
CPU wait for the GPU is recorded (`waits`). What a GPU's own kernels do or refuse is not covered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from on_gpu import GPU, HERE, computed
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from distill_tune.distillation.augmentation._quantiles import _normal_view
from distill_tune.distillation.materials.materials import _corrupted


class _Gpu(TorchDispatchMode):
    """Catches tensors that are made on the GPU or moved to it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {}, self.waits)


@contextmanager
def pretended_gpu(free_bytes: int = 1 << 33) -> Iterator[Counter[str]]:
    """Pretend that there is a GPU; yields how often the CPU waited for it, counted by cause."""
    gpu = _Gpu()
    known: dict[str, Any] = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_bf16_supported": lambda including_emulation=True: True,
        "mem_get_info": lambda device=None: (free_bytes, 1 << 34),
        "get_per_process_memory_fraction": lambda device=None: 1.0 if device is None else _numbered(device),
        "set_per_process_memory_fraction": lambda fraction, device=None: None,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: None,
        "empty_cache": lambda: None,
        "synchronize": lambda device=None: gpu.waits.update(["torch.cuda.synchronize"]),
    }
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with (
            mock.patch.multiple(torch.cuda, **known),
            mock.patch.multiple(torch.Tensor, to=_to, cpu=lambda self: self.to("cpu")),
            mock.patch.multiple(torch, tensor=_tensor, autocast=_autocast),
            mock.patch.multiple(torch.inference_mode, __enter__=_no_grad, __exit__=_as_before),
            mock.patch.object(torch._C, "_group_tensors_by_device_and_dtype", _grouped),
            mock.patch.object(torch.utils, "swap_tensors", _swap),
            gpu,
        ):
            yield gpu.waits
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
        for kept in (_normal_view, _corrupted):  # what is cached here would be wrong on a real GPU
            kept.cache_clear()


_REAL_TO, _REAL_TENSOR, _REAL_AUTOCAST = torch.Tensor.to, torch.tensor, torch.autocast
_REAL_SWAP, _REAL_GROUPS = torch.utils.swap_tensors, torch._C._group_tensors_by_device_and_dtype


def _numbered(device: Any) -> float:
    """A share of memory; like PyTorch, it insists on a device index."""
    torch.cuda._utils._get_device_index(device)
    return 1.0


def _no_grad(self: Any) -> None:
    """Replaces inference mode, whose tensors must be of PyTorch's own class."""
    self._before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)


def _as_before(self: Any, *raised: Any) -> None:
    torch.set_grad_enabled(self._before)


def _grouped(lists: Any, with_indices: bool = False) -> Any:
    """Group tensors, for the optimizers and `clip_grad_norm_`, by the devices they claim."""
    found = _REAL_GROUPS(lists, with_indices)
    return {(group[0][0][0].device, kind): group for (_, kind), group in found.items()}


def _swap(one: Tensor, other: Tensor) -> None:
    """`torch.utils.swap_tensors`, which moves a module's weights; what has not moved stays itself."""
    is_same = type(one) is type(other) and one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    if not is_same:
        _REAL_SWAP(one, other)


def _to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`Tensor.to`: copies between devices, and on the same device only if asked to."""
    if args and (args[0] is None or isinstance(args[0], str | torch.device)):
        kwargs |= dict(zip(("device", "dtype", "non_blocking", "copy"), args, strict=False))
    elif kwargs.get("device") is None:
        return _REAL_TO(self, *args, **kwargs)
    else:
        kwargs |= dict(zip(("dtype", "non_blocking", "copy"), args, strict=False))
    asked = kwargs.pop("device")
    device = self.device if asked is None else torch.device(asked)
    given = {name: value for name, value in kwargs.items() if value not in (None, False)}
    if device.type == self.device.type:
        return _REAL_TO(self, **given) if given else self
    given.pop("copy", None)
    made: Tensor = torch.ops.aten._to_copy.default(self, device=GPU if device.type == "cuda" else HERE, **given)
    return made


def _tensor(data: Any, *, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
    """`torch.tensor`: made on the CPU, then moved."""
    made: Tensor = _REAL_TENSOR(data, **kwargs)
    return (made if device is None else made.to(device)).requires_grad_(requires_grad)


def _autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
    """The CPU's autocast, to which pretended GPU tensors look like its own."""
    return _REAL_AUTOCAST("cpu" if device_type == "cuda" else device_type, *args, **kwargs)
