"""State dicts in safetensors files, which other tools can read and which hold no code.

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
    """Write tensors of any device atomically, with `record` as metadata.

    Raises:
        OSError: they cannot be written.
    """
    with new_file(path) as temporary:
        temporary.write_bytes(as_safetensors(state, record))  # `save_file` reports a full disk as a format error


def as_safetensors(state: Mapping[str, Tensor], record: dict[str, str] | None = None) -> bytes:
    """The content of a safetensors file for tensors of any device; tied ones are each stored in full."""
    import torch
    from safetensors.torch import save

    # The format allows neither shared memory nor views, so each tensor gets its own copy.
    apart = {name: one.detach().cpu().clone(memory_format=torch.contiguous_format) for name, one in state.items()}
    return save(apart, record)


def are_whole(path: Path) -> bool:
    """Whether the file exists and is complete: a machine that was lost may have kept only its name."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError):
        return False
    return True
