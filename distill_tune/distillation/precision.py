"""Float32 or bfloat16 in the forward pass, for who has nothing measured; `training/pace.py` measures."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch


def forward_context(wanted: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass; "auto" that nobody has resolved is bfloat16 on a GPU that has it, else float32."""
    if resolved(wanted, device) == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def resolved(wanted: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The precision that `wanted` means on a device where nothing is measured."""
    pays = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and pays) else "float32"
