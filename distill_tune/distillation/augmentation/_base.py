"""What a transform is, and the counter-based random numbers that make it replayable.

The generator is the finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
OOPSLA 2014) over a counter made of seed, view, stream and sample index, in wrapping int64 arithmetic: stateless, and the
same on every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from zlib import crc32

from pydantic import Field

from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor

_GOLDEN, _MIX_1, _MIX_2, _WORD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 1 << 64


def _signed(word: int) -> int:
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word


def _mix(x: Tensor) -> Tensor:
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _signed(_MIX_1)
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _signed(_MIX_2)
    return x ^ ((x >> 31) & ((1 << 33) - 1))


@dataclass(frozen=True)
class Draw:
    """Random numbers for some samples of one view."""

    seed: int
    view: int
    index: Tensor
    """int64 [batch]: position of each sample in the training split."""
    fill: Tensor | None = None
    """float32 [channels]: the training mean in stored units, for what a transform uncovers."""

    def uniform(self, stream: str) -> Tensor:
        """float32 [batch] in [0, 1): one number a sample, independent for each `stream` name."""
        start = (self.seed * _GOLDEN + self.view * _MIX_1 + crc32(stream.encode()) * _MIX_2) % _WORD
        mixed = _mix(_mix(self.index * _signed(_GOLDEN) + _signed(start)))
        return ((mixed >> 40) & ((1 << 24) - 1)).float() * 2.0**-24


class Transform(Options):
    """One augmentation; `amount` is what `[augmentation]` says, and 0 does nothing."""

    for_images: ClassVar[bool] = True
    for_tables: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    """Whether it blends a sample with a partner: then it has `mix` instead of `apply`."""
    amount: float = Field(ge=0)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Transform [batch, channels, height, width] inputs in their stored units and type."""
        raise NotImplementedError

    def share(self, draw: Draw) -> Tensor:
        """float32 [batch] in [0, 1]: the weight of each sample against its partner, for transforms that mix."""
        raise NotImplementedError
