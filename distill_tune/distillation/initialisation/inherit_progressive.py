"""As `inherit`, with the inherited units frozen at first and freed one after the other, largest first.

Of a layer's n inherited units the largest is free from the first step, and unit k (0-based) once the share
(k / n) * free_by of the training is done. A unit is its incoming weights, its bias, and its scale and shift if it is
normalised; the head, and whatever was not inherited, is free from the start. Gradual unfreezing of layers: Howard,
Ruder 2018 (https://arxiv.org/abs/1801.06146).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.initialisation.inherit import Inherit
from distill_tune.registry import INITIALISATIONS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.distillation.holding import Hold
    from distill_tune.distillation.materials.materials import Materials


@INITIALISATIONS.register
class InheritProgressive(Inherit):
    """`inherit`, with the inherited units freed in order of size, largest first."""

    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"free_by": {"uniform": [0.1, 1.0]}}
    free_by: float = Field(0.5, gt=0, le=1)
    """Share of the training by which all are free."""

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> Hold:
        """Carry over the teacher's largest units; return the `Hold` that keeps them frozen."""
        from distill_tune.distillation.holding import Hold

        return Hold(student, self._carry(student, config, materials), self.free_by)
