"""The teacher that runs alongside a student on each of its batches (`teacher.mode = "live"`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from distill_tune.distillation.features.tap import Tap, run_tapped


class LiveTeacher:
    """A teacher that runs alongside the student."""

    def __init__(self, module: nn.Module, layers: Sequence[str], channels_last: Collection[str] = ()):
        self._module, self._tap = module, Tap(module, layers, channels_last)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The teacher's logits and its layers' features, the same as from a cache except for rounding."""
        return run_tapped(self._tap, self._module, inputs)

    def close(self) -> None:
        """Remove the hooks, because the next trial uses the same teacher."""
        self._tap.close()
