"""The teacher that runs beside every student on its batch (`teacher.mode = "live"`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from distill_tune.distillation.features.tap import Tap, run_tapped


class LiveTeacher:
    """A teacher that runs beside the student."""

    def __init__(self, module: nn.Module, layers: Sequence[str], channels_last: Collection[str] = ()):
        self._module, self._tap = module, Tap(module, layers, channels_last)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Its logits, and the features of its layers as a cache has them, but for the rounding."""
        return run_tapped(self._tap, self._module, inputs)

    def close(self) -> None:
        """Take the hooks off: the teacher is the next trial's too."""
        self._tap.close()
