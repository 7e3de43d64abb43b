"""Start the student from the teacher's largest units: one-shot magnitude pruning of whole units.

Li et al. 2017, "Pruning Filters for Efficient ConvNets" (https://arxiv.org/abs/1608.08710) ranks a layer's filters by
the norm of their weights; here a unit's outgoing weights count too:

    size(j) = sqrt(sum of squares of the weights into j and of those out of j)

The largest units are carried over in this order, each with its inputs from the units carried before it. With fewer
inputs a layer's outputs have a smaller variance than the teacher's, and another mean. So each layer with a bias gets
one scale, which gives its pre-activations the variance of the same units in the teacher on some training samples, and
each unit gets the bias that restores the teacher's mean; batch statistics are recomputed.

If the depths differ, the student's layer i of n takes the teacher's layer round(i (m - 1) / (n - 1)) of m, so the first
takes the first and the last the last; the head takes the head. What has no counterpart in the teacher (further units,
other kinds of layer) stays as drawn. Inputs are normalised as the teacher's are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.distillation.initialisation._base import Initialisation, Shapes, check_family
from distill_tune.distillation.initialisation._declared_wiring import check_declares_wiring, shows_all, wiring_of
from distill_tune.registry import INITIALISATIONS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.distillation.holding import Hold
    from distill_tune.distillation.materials.materials import Materials


@INITIALISATIONS.register
class Inherit(Initialisation):
    """For students of the teacher's family, which declares how its layers are connected (`Student.wiring`)."""

    needs_teacher: ClassVar[bool] = True

    def check(self, config: Config, shapes: Shapes) -> None:
        """Check that student and teacher are of one family that declares how its layers are connected."""
        check_family(config)
        check_declares_wiring(config, shapes)

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> Hold | None:
        """Carry over the teacher's largest units, and match their pre-activations."""
        self._carry(student, config, materials)
        return None

    def _carry(self, student: nn.Module, config: Config, materials: Materials) -> dict[str, int]:
        """Carry over the units; return the number of inherited first rows by parameter name, largest unit first."""
        from distill_tune.distillation.cache.weights import network_of
        from distill_tune.distillation.initialisation._calibration import match_teacher
        from distill_tune.distillation.initialisation._carrying import carry
        from distill_tune.distillation.initialisation._reading import read_as_the_teacher
        from distill_tune.distillation.initialisation._teacher import teacher_network

        read_as_the_teacher(student, materials)
        teacher = teacher_network(config, materials)
        theirs = wiring_of(config.teacher, network_of(teacher))
        carried = carry(theirs, wiring_of(config.student, network_of(student)), shows_all(config))
        if not carried.is_whole:
            match_teacher(carried, teacher, student, materials.train_inputs)
        return carried.inherited_rows
