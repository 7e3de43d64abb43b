"""The student's side of knowledge review: its stages, fused from the deepest up, in the teacher's shapes.

This module imports torch, so `reviewkd.py` imports it inside `projector`. A vector counts as a map of one place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill_tune.distillation.losses._features import Shape
from distill_tune.distillation.losses._projectors import Pair, at_places, common_places


def as_map(feature: Tensor) -> Tensor:
    """The feature as [batch, channels, height, width]."""
    return feature if feature.dim() == 4 else feature[:, :, None, None]


class Fusion(nn.Module):
    """Attention-based fusion of a stage with the fused deeper stages (section 3.3, figure 4a)."""

    def __init__(self, inputs: int, middle: int, outputs: int, is_deepest: bool):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.attend = None if is_deepest else nn.Conv2d(2 * middle, 2, 1)
        self.leave = nn.Sequential(nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, stage: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The stage to compare, [batch, outputs, h, w], and to pass to the next fusion, [batch, middle, h, w]."""
        own = self.enter(stage)
        if self.attend is not None and deeper is not None:
            deeper = nn.functional.interpolate(deeper, size=own.shape[2:], mode="nearest")
            shares = self.attend(torch.cat([own, deeper], dim=1)).sigmoid()
            own = own * shares[:, :1] + deeper * shares[:, 1:]
        return self.leave(own), own


class Review(nn.Module):
    """Compares each of the teacher's stages with the student's same stage fused with all deeper ones."""

    def __init__(self, student: Sequence[Shape], teacher: Sequence[Shape], widest: int):
        super().__init__()
        self.places = [common_places(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)]
        middle = min(widest, max(shape[0] for shape in student))
        last = len(student) - 1
        self.fusions = nn.ModuleList(
            Fusion(ours[0], middle, theirs[0], number == last)
            for number, (ours, theirs) in enumerate(zip(student, teacher, strict=True))
        )

    def forward(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[Pair]:
        """Features of the stages, shallow to deep, to pairs of equal shape in the same order."""
        pairs: list[Pair] = []
        deeper: Tensor | None = None
        stages = list(zip(self.fusions, students, teachers, self.places, strict=True))
        for fusion, student, teacher, places in reversed(stages):
            compared, deeper = fusion(as_map(at_places(student, places)), deeper)
            pairs.append((compared, as_map(at_places(teacher, places))))
        return pairs[::-1]
