"""The outputs of several teachers, each cached by itself, mixed as a trial says."""

from __future__ import annotations

from torch import Tensor

from distill_tune.distillation.cache.outputs import Outputs
from distill_tune.teachers.mixing import Mix


class MixedOutputs:
    """What a trial takes for one teacher's outputs."""

    def __init__(self, members: dict[str, Outputs], mix: Mix):
        """`members` are those that take part."""
        self._members, self._mix = members, mix
        self.folder = next(iter(members.values())).folder
        self.validation = mix.of({name: each.validation for name, each in members.items()})

    @property
    def num_views(self) -> int:
        """How many views of each sample all of them have labelled; 0 where they run live."""
        return min(each.num_views for each in self._members.values())

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw; `take` where some samples do."""
        return self._mix.of({name: each.logits(view) for name, each in self._members.items()})

    def take(self, view: int, index: Tensor) -> Tensor:
        """float32 [batch, classes], raw: of the samples at `index`, int64 [batch]."""
        return self._mix.of({name: each.take(view, index) for name, each in self._members.items()})
