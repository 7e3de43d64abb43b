"""The losses of several lanes: lanes with one loss together, whatever their temperatures and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.objective import Objective, hard_losses


class Dials(NamedTuple):
    """What differs between the lanes of a part and moves from step to step."""

    temperature: Tensor
    """[lanes]."""
    soft_weight: Tensor
    """[lanes]."""


@dataclass(frozen=True)
class Part:
    """Lanes whose loss is one but for its dials."""

    objectives: list[Objective]
    numbers: list[int]
    """The numbers of its lanes."""
    index: Tensor | None
    """The same, int64; None for all lanes."""

    def dials(self, progress: Sequence[Sequence[float]], device: torch.device) -> list[Dials]:
        """At each step; `progress` is each lane's at each step, of all lanes."""
        pairs = list(zip(self.numbers, self.objectives, strict=True))
        temperatures = [[own.temperature(step[lane]) for lane, own in pairs] for step in progress]
        weights = [[own.soft_weight(step[lane]) for lane, own in pairs] for step in progress]
        both = (torch.tensor(values, device=device).unbind() for values in (temperatures, weights))
        return [Dials(*pair) for pair in zip(*both, strict=True)]

    def of(self, logits: Tensor) -> Tensor:
        """The part's lanes of [lanes, ...]."""
        return logits if self.index is None else logits[self.index]

    def terms(self, logits: Tensor, batch: Batch, dials: Dials) -> tuple[Tensor, Tensor, Tensor | None]:
        """Total, labels' term and teacher's term of each lane, [lanes]; `logits` are [lanes, batch, classes]."""
        first = self.objectives[0]
        hard = hard_losses(logits, batch, first.label_smoothing).mean(-1) / batch.labelled_share
        if batch.teacher_logits is None:
            return hard, hard, None
        loss: Any = first.loss  # which takes lanes, as `over_lanes` says
        labels = batch.labels if batch.share is None else None
        soft: Tensor = loss.soft_with_labels(logits, batch.teacher_logits, dials.temperature, labels)
        return torch.lerp(hard, soft, dials.soft_weight), hard, soft


def parts_of(objectives: Sequence[Objective], device: torch.device) -> list[Part]:
    """The lanes by their loss."""
    alike: dict[str, list[int]] = {}
    for lane, objective in enumerate(objectives):
        what = f"{type(objective.loss)} {objective.loss!r} {objective.label_smoothing} {objective.uses_teacher}"
        alike.setdefault(what, []).append(lane)
    return [
        Part([objectives[n] for n in lanes], lanes, torch.tensor(lanes, device=device) if len(alike) > 1 else None)
        for lanes in alike.values()
    ]
