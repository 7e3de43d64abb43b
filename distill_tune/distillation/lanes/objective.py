"""What lanes minimise: the labels' term of all lanes at once, and the teacher's term of lanes with equal losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distill_tune.distillation.lanes.batches import LaneBatch
from distill_tune.distillation.lanes.terms import is_written_out, labels_term, teachers_term
from distill_tune.distillation.training.objective import Objective


@dataclass
class Group:
    """Lanes with the same teacher loss, whatever their temperatures and weights."""

    objectives: list[Objective]
    numbers: list[int]
    """The numbers of its lanes."""
    index: Tensor | None
    """The same as int64; None for all lanes."""
    temperatures: list[Tensor] = field(default_factory=list)
    """[lanes] per step of an epoch."""
    weights: list[Tensor] = field(default_factory=list)
    """[lanes] per step of an epoch: the soft_weight."""
    told: list[Tensor] = field(default_factory=list)
    """[lanes] per step so far: the teacher's term."""

    def begin(self, progress: Sequence[Sequence[float]], device: torch.device) -> None:
        """Set what an epoch's steps need; `progress` is indexed by step, then by lane, over all lanes."""
        pairs = list(zip(self.numbers, self.objectives, strict=True))
        temperatures = [[own.temperature(step[lane]) for lane, own in pairs] for step in progress]
        weights = [[own.soft_weight(step[lane]) for lane, own in pairs] for step in progress]
        self.temperatures = list(torch.tensor(temperatures, device=device).unbind())
        self.weights = list(torch.tensor(weights, device=device).unbind())
        self.told = []

    def of(self, lanes: Tensor) -> Tensor:
        """Select the group's lanes from [lanes, ...]."""
        return lanes if self.index is None else lanes.index_select(0, self.index)

    def add(self, logits: Tensor, batch: LaneBatch, teacher: Tensor, by_logits: Tensor) -> None:
        """Add the next step's gradient to `by_logits`, which like `logits` is [all lanes, classes, batch]."""
        step = len(self.told)
        loss = self.objectives[0].loss
        labels = None if batch.labels is None or is_written_out(loss) else self.of(batch.labels)
        dials = self.temperatures[step], labels, self.weights[step]
        values, own = teachers_term(loss, self.of(logits), teacher, *dials)
        self.told.append(values)
        if self.index is None:
            by_logits.add_(own)
        else:
            by_logits.index_add_(0, self.index, own)


class LaneObjective:
    """The objectives of all lanes, epoch by epoch."""

    def __init__(self, objectives: Sequence[Objective], samples: Sequence[float], device: torch.device):
        """`samples` is the average number of labelled samples in a batch of each lane."""
        self._device, self.groups = device, _groups(objectives, device)
        smoothing = [objective.label_smoothing for objective in objectives]
        self._smoothing = torch.tensor(smoothing, device=device)[:, None, None] if any(smoothing) else None
        self._samples = torch.tensor(samples, device=device)

    def begin(self, progress: Sequence[Sequence[float]]) -> None:
        """Begin an epoch; `progress` is indexed by step, then by lane."""
        weights = self._samples.new_ones(len(progress), len(self._samples))
        for group in self.groups:
            group.begin(progress, self._device)
            weights[:, group.numbers] = 1 - torch.stack(group.weights)
        self._weights = list((weights / self._samples)[..., None, None].unbind())
        self._told: list[Tensor] = []

    def by_logits(self, logits: Tensor, batch: LaneBatch) -> Tensor:
        """The gradient of the next step's losses by the logits, [lanes, batch, classes], in memory ordered by class."""
        by_class = logits.mT
        values, found = labels_term(by_class, batch.sides, self._smoothing, self._weights[len(self._told)])
        self._told.append(values)
        for group, teacher in zip(self.groups, batch.teachers, strict=True):
            group.add(by_class, batch, teacher, found)
        return found.mT

    def means(self) -> list[list[float]]:
        """Per lane, the means over the epoch's steps of its loss, the labels' term and the teacher's."""
        hard = torch.stack(self._told) / self._samples
        total, soft = hard.clone(), torch.zeros_like(hard)
        for group in self.groups:
            own = torch.stack(group.told)
            soft[:, group.numbers] = own
            total[:, group.numbers] = torch.lerp(hard[:, group.numbers], own, torch.stack(group.weights))
        found: list[list[float]] = torch.stack([total, hard, soft], 2).mean(0).tolist()
        return found


def _groups(objectives: Sequence[Objective], device: torch.device) -> list[Group]:
    """The lanes that use the teacher, grouped by loss."""
    alike: dict[str, list[int]] = {}
    for lane, objective in enumerate(objectives):
        if objective.uses_teacher:
            alike.setdefault(f"{type(objective.loss)} {objective.loss!r}", []).append(lane)
    index = [torch.tensor(lanes, device=device) if len(lanes) < len(objectives) else None for lanes in alike.values()]
    return [Group([objectives[n] for n in lanes], lanes, own) for lanes, own in zip(alike.values(), index, strict=True)]
