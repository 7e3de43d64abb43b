"""Tensors that claim to be on a GPU but keep their values on the CPU; see `pretended_gpu.py`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

CPU, HERE, GPU = torch.device("cpu"), torch.device("cpu", 0), torch.device("cuda", 0)
"""PyTorch's C++ passes `CPU` when it makes something like a given tensor; `_to` passes `HERE`."""
_ops = torch.ops.aten
_MOVES = {_ops._to_copy.default, _ops.copy_.default}
_READS = {_ops._local_scalar_dense.default, _ops.equal.default}
_SIZED_BY_VALUES = {
    _ops.nonzero.default,
    _ops.bincount.default,
    _ops.masked_select.default,
    _ops.unique_consecutive.default,
    _ops._unique2.default,
}
_INDEXED = {_ops.index.Tensor, _ops.index_put_.default, _ops.index_put.default, _ops._index_put_impl_.default}
_FUSED = {_ops._fused_adamw_.default, _ops._fused_sgd_.default, _ops._fused_adam_.default}
_FUSED_LISTS = {_ops._fused_sgd_.default: 3}
"""How many of a fused kernel's leading lists must be laid out alike; 4 if not listed."""


class OnGpu(Tensor):
    """A tensor that claims to be on the GPU."""

    values: Tensor
    """The values, on the CPU."""

    @staticmethod
    def __new__(cls, values: Tensor) -> OnGpu:
        """Wrap `values` without a copy; to PyTorch's C++ this is a CPU tensor that it cannot read."""
        made: Any = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
        )
        made.values = values
        return made  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The claimed device."""
        return GPU

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """Always true."""
        return True

    def tolist(self) -> Any:
        """The numbers, copied to the CPU first."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Raise as a GPU tensor does."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")

    def __array__(self, dtype: Any = None) -> Any:  # type: ignore[override]
        """Raise as a GPU tensor does."""
        return self.numpy()

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """A new tensor, on the GPU too."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": GPU} | kwargs)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Handle backward passes, which begin outside of the mode."""
        return computed(func, args, kwargs or {}, Counter())

    def __repr__(self) -> str:  # type: ignore[override]
        return f"on a GPU: {self.values!r}"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as what `map_location="cpu"` gives back."""
        return self.values.detach().__reduce_ex__(protocol)

    def data_ptr(self) -> int:
        """The address of the values."""
        return self.values.data_ptr()


def computed(func: Any, args: Any, kwargs: dict[str, Any], waits: Counter[str]) -> Any:
    """Return an operation's result on the device where a GPU machine would have it; adds to `waits`.

    Raises:
        RuntimeError: tensors or a generator are on two devices, or a fused kernel's tensors are not laid out alike.
    """
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = [each for each in tensors if isinstance(each, OnGpu)]
    wanted = kwargs.get("device")
    goes_there = bool(there) if wanted is None or (there and wanted == CPU) else _is_gpu(wanted)
    kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}  # nothing needs pinning here
    if not there and not goes_there:
        return func(*args, **kwargs)
    if func not in _MOVES:
        _check_devices(func, args, tensors)
    _check_generator(func, kwargs, goes_there)
    if func in _FUSED:
        _check_lie_alike(args[: _FUSED_LISTS.get(func, 4)])
    waits.update(_why_it_waits(func, args, kwargs, goes_there))
    made = func(*tree_map(_here, args), **tree_map(_here, kwargs))
    return _as_asked(func, args, kwargs, made, goes_there)


def _here(argument: Any) -> Any:
    if isinstance(argument, OnGpu):
        return argument.values
    return CPU if isinstance(argument, torch.device) else argument


def _is_gpu(argument: Any) -> bool:
    return isinstance(argument, torch.device) and argument.type == "cuda"


def _as_asked(func: Any, args: Any, kwargs: dict[str, Any], made: Any, goes_there: bool) -> Any:
    """Return what was written to as itself, and what is new on the device where it belongs."""
    given = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | kwargs
    written = [
        given[argument.name]
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write and argument.name in given
    ]
    by_values = {id(each.values): each for each in tree_leaves(written) if isinstance(each, OnGpu)}

    def back(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        if id(each) in by_values:
            return by_values[id(each)]
        return OnGpu(each) if goes_there and not any(each is plain for plain in tree_leaves(written)) else each

    return tree_map(back, made)


def _check_devices(func: Any, args: Any, tensors: list[Tensor]) -> None:
    may_be_anywhere: list[Tensor] = []
    if func in _INDEXED:
        if not isinstance(args[0], OnGpu):
            raise RuntimeError(f"{func}: indices on a GPU for a tensor on the CPU")
        may_be_anywhere = [each for each in args[1] if each is not None]
    takes_numbers = torch.Tag.pointwise in func.tags or func in _INDEXED
    for each in tensors:
        is_number = takes_numbers and each.dim() == 0
        if not (isinstance(each, OnGpu) or is_number or any(each is one for one in may_be_anywhere)):
            raise RuntimeError(f"{func}: tensors on both cuda:0 and cpu")


def _check_generator(func: Any, kwargs: dict[str, Any], goes_there: bool) -> None:
    generator = kwargs.get("generator")
    if goes_there and generator is not None and generator.device.type != "cuda":
        raise RuntimeError(f"{func}: a generator on the CPU for a tensor on a GPU")


def _check_lie_alike(lists: Any) -> None:
    """Apply `check_fast_path_restrictions` of ATen's ForeachUtils.h, which CUDA's fused kernels insist on."""
    for columns in zip(*(each for each in lists if each), strict=True):
        strides = {tuple(s for s, size in zip(each.stride(), each.shape, strict=True) if size != 1) for each in columns}
        if len(strides) > 1 or len({each.dtype for each in columns}) > 1:
            raise RuntimeError("params, grads and running tensors must have same dtype, device, and layout")


def _why_it_waits(func: Any, args: Any, kwargs: dict[str, Any], goes_there: bool) -> list[str]:
    name = str(func)
    if func in _READS or func in _SIZED_BY_VALUES:
        return [name]
    if func in _INDEXED and any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]):
        return [f"{name} by a mask"]
    if func in _INDEXED and any(each is not None and not isinstance(each, OnGpu) for each in args[1]):
        return [f"{name} by what is on the CPU"]
    if func is _ops._to_copy.default and isinstance(args[0], OnGpu) != goes_there:
        return [] if kwargs.get("non_blocking") else [f"{name} to {'cuda' if goes_there else 'cpu'}"]
    if func is _ops.copy_.default and isinstance(args[0], OnGpu) != isinstance(args[1], OnGpu):
        return [] if kwargs.get("non_blocking") else [name]
    return []
