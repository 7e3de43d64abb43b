"""Logit regression: match the teacher's logits directly, without a softmax.

Ba, Caruana, "Do Deep Nets Really Need to be Deep?", NeurIPS 2014, https://arxiv.org/abs/1312.6184. Compared with the
Kullback-Leibler divergence: Kim, Oh, Kim, Cho, Yun, "Comparing Kullback-Leibler Divergence and Mean Squared Error Loss
in Knowledge Distillation", IJCAI 2021, https://arxiv.org/abs/2105.08919
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.distillation.losses._base import Loss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


@LOSSES.register
class MseLogits(Loss):
    """Half the squared difference of the logits, averaged over classes and batch.

    With this scale it is the limit of `soft_targets` at a high temperature if each sample's logits have mean 0 (Hinton
    et al. 2015, section 2.1).
    """

    uses_temperature: ClassVar[bool] = False
    over_lanes: ClassVar[bool] = True

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See the class; `temperature` is not used."""
        return (student_logits - teacher_logits).square().mean((-2, -1)) / 2
