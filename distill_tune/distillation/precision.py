"""Float32 or bfloat16 in the forward pass: what a device supports, and its default; `pace.py` measures instead."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

Precision = Literal["float32", "bfloat16"]


def forward_context(wanted: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass; an unresolved "auto" is bfloat16 on a GPU that supports it, else float32."""
    if resolved(wanted, device) == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def resolved(wanted: str, device: torch.device) -> Precision:
    """The precision that `wanted` means on a device without measurements."""
    pays = device.type == "cuda" and "bfloat16" in precisions_of(device)
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and pays) else "float32"


def precisions_of(device: torch.device) -> tuple[Precision, ...]:
    """The precisions that may be fastest on a device.

    Older GPUs and x86 processors without AVX-512 only emulate bfloat16: a step of a convolutional network took 7 to 17
    times as long on one such processor (AMD Zen 3, PyTorch 2.13), so that even timing it would take minutes.
    """
    return ("float32",) if _imitates_bfloat16(device) else ("float32", "bfloat16")


def _imitates_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return not torch.cuda.is_bf16_supported(including_emulation=False)
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return device.type == "cpu" and is_x86 and torch.backends.cpu.get_cpu_capability() != "AVX512"
