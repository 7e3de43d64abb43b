"""The base class of transforms, and the counter-based random numbers that make them replayable.

The generator applies the finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
OOPSLA 2014) twice to a counter that advances by the golden ratio per sample and starts at a value given by seed, view
and stream, in wrapping int64 arithmetic: stateless, and the same on every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.seeds import seed_of
from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned word."""
    return word - (1 << 64) if word >> 63 else word


_GOLDEN, _MIX_1, _MIX_2 = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift unsigned words right (`x >> bits`); torch's own shift extends the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _MIX_1
    x = (x ^ _shifted(x, 27)) * _MIX_2
    return x ^ _shifted(x, 31)


@dataclass(frozen=True)
class Draw:
    """Random numbers for some samples of one view."""

    seed: int
    view: int
    index: Tensor
    """int64 [batch]: position of each sample among those that the student may see."""
    fill: Tensor | None = None
    """float32 [channels]: the training mean in stored units, to fill what a transform hides."""
    pool: Tensor | None = None
    """[n, *input_shape]: all samples that a view may show, untransformed; for transforms that use other samples."""

    def uniform(self, stream: str) -> Tensor:
        """float32 [batch] in [0, 1): one number per sample, independent for each `stream` name."""
        return _shifted(self._words(stream), 40).float() * 2.0**-24

    def below(self, count: int, stream: str, columns: int | None = None) -> Tensor:
        """int64 [batch] in [0, count), for a count up to 2^31: one number per sample, like `uniform`.

        With `columns`, int64 [batch, columns]: that many numbers per sample.
        """
        return (_shifted(self._words(stream, columns), 32) * count) >> 32

    def _words(self, stream: str, columns: int | None = None) -> Tensor:
        words = _mix(self.index * _GOLDEN + seed_of(self.seed, self.view, stream))
        if columns is not None:
            import torch

            words = words.unsqueeze(1) + torch.arange(columns, device=words.device) * _GOLDEN
        return _mix(words)


class Transform(Options):
    """One augmentation; `amount` is its value in `[augmentation]`, and 0 turns it off."""

    for_images: ClassVar[bool] = True
    for_tables: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    """Whether it blends samples with partners: if so, it defines `share` or `mix` instead of `apply`."""
    amount: float = Field(ge=0)

    @classmethod
    def missing_methods(cls) -> list[str]:
        """Also `apply` or, for a transform that mixes, `share` if neither it nor `mix` is overridden."""
        has_share = cls.share is not Transform.share or cls.mix is not Transform.mix
        needed = {"share": has_share} if cls.mixes else {"apply": cls.apply is not Transform.apply}
        return super().missing_methods() + [name for name, is_there in needed.items() if not is_there]

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Transform [batch, *input_shape] inputs, keeping their shape, stored units and type."""
        raise NotImplementedError

    def share(self, draw: Draw) -> Tensor:
        """float32 [batch] in [0, 1]: the weight of each sample against its partner, for transforms that mix."""
        raise NotImplementedError

    def mix(self, inputs: Tensor, partners: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Both [batch, *input_shape] blended, as floats, and `share`; override it to mix in another way."""
        share = self.share(draw)
        weight = share.view(-1, *[1] * (inputs.dim() - 1))
        return weight * inputs + (1 - weight) * partners, share
