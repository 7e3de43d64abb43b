"""Attention transfer: the student should look where the teacher looks.

Zagoruyko, Komodakis, "Paying More Attention to Attention: Improving the Performance of Convolutional Neural Networks
via Attention Transfer", ICLR 2017, https://arxiv.org/abs/1612.03928
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss, Shape
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-12


def attention_map(feature: Tensor) -> Tensor:
    """A map [batch, channels, height, width] to [batch, places]: mean square over channels, scaled to length 1."""
    energy = feature.square().mean(1).flatten(1)
    length: Tensor = energy.norm(dim=1, keepdim=True)
    return energy / length.clamp_min(_TINY)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """||attention of the student - attention of the teacher||^2, averaged over the batch: in [0, 2].

    Squared, as in the authors' code; the paper's formula uses the distance itself, whose gradient does not vanish.
    """
    return (attention_map(student) - attention_map(teacher)).square().sum(1).mean()


@LOSSES.register
class Attention(FeatureLoss):
    """scale * `attention_loss`, averaged over the stages; maps of different sizes are averaged to the smaller size.

    It has no learned parts: channels are averaged out, so their numbers may differ.
    """

    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "maps"
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [0.1, 10.0]}}
    scale: Weight = 1.0
    """The authors' beta of 1000, which they divide by the number of places and by 2, is 8 at 8 x 8 places: a lot for a
    short training, which then learns where to look before what it sees."""

    def joins(self, student: Shape, teacher: Shape) -> bool:
        """Both must be maps."""
        return len(student) == len(teacher) == 3

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See `attention_loss`."""
        from distill_tune.distillation.losses._projectors import at_places, common_places

        places = common_places(tuple(student.shape[1:]), tuple(teacher.shape[1:]))
        return self.scale * attention_loss(at_places(student, places), at_places(teacher, places))
