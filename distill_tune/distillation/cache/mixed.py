"""The outputs of several teachers, cached separately and mixed per trial."""

from __future__ import annotations

from torch import Tensor

from distill_tune.distillation.cache.outputs import Outputs
from distill_tune.teachers.mixing import Mix


class MixedOutputs:
    """Several teachers' outputs, presented to a trial as those of one."""

    def __init__(self, members: dict[str, Outputs], mix: Mix):
        """Mix `members`, the teachers that take part."""
        self._members, self._mix = members, mix
        self.folder = next(iter(members.values())).folder
        self.validation = mix.of({name: each.validation for name, each in members.items()})

    @property
    def num_views(self) -> int:
        """Number of views of each sample that all of them have labelled; 0 if they run live."""
        return min(each.num_views for each in self._members.values())

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw; use `take` for some samples only."""
        return self._mix.of({name: each.logits(view) for name, each in self._members.items()})

    def take(self, view: int, index: Tensor) -> Tensor:
        """float32 [batch, classes], raw, for the samples at `index`, int64 [batch]."""
        return self._mix.of({name: each.take(view, index) for name, each in self._members.items()})
