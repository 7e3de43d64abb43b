"""Derive one seed from several numbers and names, so that random streams are independent."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seed_of(*parts: int | str) -> int:
    """A number in [0, 2^63) that differs for different `parts`; the same in every process and on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generators_kept(device: torch.device) -> AbstractContextManager[None]:
    """Restore torch's generators after the block; of GPUs only the current one's, as each costs memory."""
    import torch

    return torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else [])
