"""Float32 or bfloat16 in the forward pass: what a device has, and which it gets unmeasured; `pace.py` measures."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

Precision = Literal["float32", "bfloat16"]


def forward_context(wanted: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass; "auto" that nobody has resolved is bfloat16 on a GPU that has it, else float32."""
    if resolved(wanted, device) == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def resolved(wanted: str, device: torch.device) -> Precision:
    """The precision that `wanted` means on a device where nothing is measured."""
    pays = device.type == "cuda" and "bfloat16" in precisions_of(device)
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and pays) else "float32"


def precisions_of(device: torch.device) -> tuple[Precision, ...]:
    """Those that may be fastest on a device; older GPUs only imitate bfloat16."""
    imitates = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return ("float32",) if imitates else ("float32", "bfloat16")
