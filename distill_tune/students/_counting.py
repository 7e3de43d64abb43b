"""Counts a network's operations, and builds temporary networks without drawing all of their random numbers.

PyTorch has both (`FlopCounterMode`, the meta device), but each loads TorchDynamo, a compiler, into the process: nearly
two seconds and 80 MB per search. On a CPU its counter also misses recurrent layers and attention, which run there as
one operation without a formula; here they are split into their parts. Products with a vector, such as `x @ query`, have
no formula either, and get one here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_DRAWN = {
    *(Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_),
    *(nn.init.normal_, nn.init.uniform_),  # these ask a mode first, then call the tensor methods without it
}


def _of_product(first: Tensor, second: Tensor, **_: Any) -> int:
    """Each element of `first` is multiplied with every column of `second`."""
    return 2 * first.numel() * (second.shape[-1] if second.dim() > 1 else 1)


def _of_added_product(_: Tensor, first: Tensor, second: Tensor, **options: Any) -> int:
    return _of_product(first, second)


def _of_bilinear(first: Tensor, weights: Tensor, *_: Any, **__: Any) -> int:
    """Each row uses all weights, [outputs, first inputs, second inputs]; the sum over the second is minor."""
    return 2 * len(first) * weights.numel()


_ATEN = torch.ops.aten
_FORMULAS: dict[Any, Callable[..., int]] = {
    **dict.fromkeys((_ATEN.mv, _ATEN.dot, _ATEN.vdot), _of_product),
    **dict.fromkeys((_ATEN.addmv, _ATEN.addbmm), _of_added_product),
    _ATEN._trilinear: _of_bilinear,
}
"""Formulas for matrix products that PyTorch's counter leaves out."""


def operations_of(run: Callable[[], object]) -> int:
    """Total multiplications and additions in `run`, by the formulas of `torch.utils.flop_counter`."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), _by_parts(), _Counter() as counter:
        run()
    return int(counter.operations)


class _Counter(TorchDispatchMode):
    """Adds up the cost of each operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether PyTorch shields the mode from TorchDynamo, which it would load; nothing is compiled under it."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        formula, kwargs = flop_registry.get(func.overloadpacket) or _FORMULAS.get(func.overloadpacket), kwargs or {}
        out = func(*args, **kwargs)
        if formula is not None:
            self.operations += formula(*args, **kwargs, out_val=out)
        return out


class FewNumbers(TorchFunctionMode):
    """Fills a tensor with a single random number instead of one per element; leaves meta tensors alone.

    A number must be drawn, since `trunc_normal_` draws until all elements lie between its bounds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The result of `func`, or its first argument, filled."""
        kwargs = kwargs or {}
        if func not in _DRAWN:
            return func(*args, **kwargs)
        tensor, *options = args or (kwargs.pop("tensor"),)
        if tensor.is_meta:
            return tensor
        with torch.no_grad():
            return tensor.fill_(func(tensor.new_empty(()), *options, **kwargs))


@contextmanager
def _by_parts() -> Iterator[None]:
    """Run layers as their separate parts, as autograd needs them.

    Even then, oneDNN would fuse a recurrent layer, and PyTorch a transformer layer if no weight requires a gradient.
    """
    onednn, attention = cast("Any", torch.backends.mkldnn), torch.backends.mha
    before, is_fast = onednn.enabled, attention.get_fastpath_enabled()
    onednn.enabled = False
    attention.set_fastpath_enabled(False)
    try:
        yield
    finally:
        onednn.enabled = before
        attention.set_fastpath_enabled(is_fast)
