"""Weights in a file: a state dict as safetensors, which other tools read and which holds no code.

Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.atomic import new_file

if TYPE_CHECKING:
    from torch import Tensor


def write_weights(path: Path, state: Mapping[str, Tensor], record: dict[str, str] | None = None) -> None:
    """Write tensors of any device atomically, and what is said of them beside.

    Raises:
        OSError: they cannot be written.
    """
    with new_file(path) as temporary:
        temporary.write_bytes(as_safetensors(state, record))  # `save_file` calls a full disk an error of its format


def as_safetensors(state: Mapping[str, Tensor], record: dict[str, str] | None = None) -> bytes:
    """What such a file has in it: tensors of any device, each in full if some are tied."""
    import torch
    from safetensors.torch import save

    # The format has no two names for one memory, nor views of one, so each tensor is made its own.
    apart = {name: one.detach().cpu().clone(memory_format=torch.contiguous_format) for name, one in state.items()}
    return save(apart, record)


def are_whole(path: Path) -> bool:
    """Whether such a file is there with all that it says it has: a lost machine may have kept no more than its name."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError):
        return False
    return True
