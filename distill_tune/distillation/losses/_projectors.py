"""Projectors: small trained networks that make a student's feature comparable with a teacher's.

This module imports torch, so losses import it inside `projector`. Vectors go through linear layers, maps through 1x1
convolutions at the smaller of the two sizes, to which the larger is averaged; if one is a vector, the other is averaged
over its places.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from distill_tune.distillation.losses._features import Shape

Pair = tuple[Tensor, ...]
"""Arguments of a loss's `compare`."""


class Each(nn.Module):
    """One projector per pair."""

    def __init__(self, projectors: Sequence[nn.Module]):
        super().__init__()
        self.projectors = nn.ModuleList(projectors)

    def forward(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[Pair]:
        """Two lists of features to a list of pairs to compare."""
        triples = zip(self.projectors, students, teachers, strict=True)
        return [projector(student, teacher) for projector, student, teacher in triples]


def common_places(student: Shape, teacher: Shape) -> tuple[int, int] | None:
    """Height and width at which two features meet; None for vectors."""
    if len(student) == 1 or len(teacher) == 1:
        return None
    return min(student[1], teacher[1]), min(student[2], teacher[2])


def at_places(feature: Tensor, places: tuple[int, int] | None) -> Tensor:
    """A feature averaged to a smaller map, or to a vector."""
    if places is None:
        return feature if feature.dim() == 2 else feature.mean((2, 3))
    return feature if feature.shape[2:] == places else nn.functional.adaptive_avg_pool2d(feature, places)


class Regressor(nn.Module):
    """Maps the student's feature to the shape of the teacher's; with one layer, this is FitNets' regressor."""

    def __init__(self, student: Shape, teacher: Shape, layers: int = 1):
        super().__init__()
        self.places = common_places(student, teacher)
        made: list[nn.Module] = []
        inputs = student[0]
        for _ in range(layers):
            made += [self._layer(inputs, teacher[0]), nn.ReLU()]
            inputs = teacher[0]
        self.layers = nn.Sequential(*made[:-1])

    def _layer(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Linear(inputs, outputs) if self.places is None else nn.Conv2d(inputs, outputs, 1)

    def forward(self, student: Tensor, teacher: Tensor) -> Pair:
        """The student's feature as [batch, teacher channels, ...], and the teacher's at the same places."""
        projected: Tensor = self.layers(at_places(student, self.places))
        return projected, at_places(teacher, self.places)


class Gaussian(nn.Module):
    """A normal distribution for each of the teacher's channels, given the student's feature."""

    def __init__(self, student: Shape, teacher: Shape, variance: float, least_variance: float):
        super().__init__()
        self.mean = Regressor(student, teacher, layers=3)
        start = torch.full((teacher[0],), variance - least_variance)
        self.raw_variance = nn.Parameter(start.expm1().log())  # softplus turns it into `start`
        self.least_variance = least_variance

    def forward(self, student: Tensor, teacher: Tensor) -> Pair:
        """The mean [batch, channels, ...], the teacher's feature, and the variance [channels, ...]."""
        mean, target = self.mean(student, teacher)
        variance = nn.functional.softplus(self.raw_variance) + self.least_variance
        return mean, target, variance.view(-1, *[1] * (mean.dim() - 2))


class Embeddings(nn.Module):
    """Maps both features, flattened, to points on one sphere."""

    def __init__(self, student: Shape, teacher: Shape, dimensions: int):
        super().__init__()
        self.student = nn.Linear(prod(student), dimensions)
        self.teacher = nn.Linear(prod(teacher), dimensions)

    def forward(self, student: Tensor, teacher: Tensor) -> Pair:
        """Two embeddings [batch, dimensions] of length 1."""
        ours, theirs = self.student(student.flatten(1)), self.teacher(teacher.flatten(1))
        return nn.functional.normalize(ours, dim=1), nn.functional.normalize(theirs, dim=1)
