"""Rebuild the teacher whose weights a student begins with as a network."""

from __future__ import annotations

from torch import nn

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.students import Student, looked_at, student_on


def teacher_network(config: Config, materials: Materials) -> nn.Module:
    """The teacher, frozen and in eval mode, built from its family and the weights file without drawing random numbers.

    Raises:
        CacheError: the file is missing or damaged.
    """
    assert materials.teacher_weights is not None, "prepared for a space that needs them"
    family = Student.of(config.teacher)
    teacher = looked_at(lambda: student_on(family, materials.dataset))
    teacher.load_state_dict(materials.teacher_weights.state(), assign=True)
    return teacher.requires_grad_(False).eval().to(materials.labels.device)
