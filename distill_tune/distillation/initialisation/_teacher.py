"""The teacher whose weights a student begins with, as a network."""

from __future__ import annotations

from torch import nn

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.students import Student, build_student, looked_at


def teacher_network(config: Config, materials: Materials) -> nn.Module:
    """The teacher, frozen and in eval mode, made of its family and the file; draws no random numbers.

    Raises:
        CacheError: the file is missing or damaged.
    """
    data = materials.dataset
    assert materials.teacher_weights is not None, "prepared for a space that needs them"
    family = Student.of(config.teacher)
    teacher = looked_at(lambda: build_student(family, data.input_shape, len(data.classes), data.mean, data.std))
    teacher.load_state_dict(materials.teacher_weights.state(), assign=True)
    return teacher.requires_grad_(False).eval().to(materials.train_inputs.device)
