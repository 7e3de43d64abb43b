"""As `inherit`, and the inherited units stand still at first: they are freed one after the other, the largest first.

Of n inherited units of a layer the largest is free from the first step, and unit k (0-based) from the share
(k / n) * free_by of the training on. A unit is the weights that lead into it, its bias, and its scale and shift where
it is normalised; the head, and whatever was not inherited, is free from the start. Gradual unfreezing, of layers:
Howard, Ruder 2018 (https://arxiv.org/abs/1801.06146).
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
    """`inherit`, with the inherited units freed in the order of their size."""

    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"free_by": {"uniform": [0.1, 1.0]}}
    free_by: float = Field(0.5, gt=0, le=1)
    """Share of the training by which all are free."""

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> Hold:
        """Carry the teacher's largest units over; returns what holds them."""
        from distill_tune.distillation.holding import Hold

        return Hold(student, self._carry(student, config, materials), self.free_by)
