"""Contrastive representation distillation: student and teacher shall agree which two features are of one sample.

Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss, Shape
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


def crd_loss(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """-log h(own pair) - the sum over the other pairs of a sample of log(1 - h), averaged over the batch.

    h = exp(<s, t> / tau) / (exp(<s, t> / tau) + c) is the critic of equation 19, and both are [batch, dimensions] of
    length 1. The negatives of a sample are the N other samples of its batch, in place of 16,384 from a memory. In the
    paper c = N / M of M training samples, and the authors' code divides the exponentials by M times their mean in its
    first batch. Here that mean is what random directions have, exp(1 / (2 tau^2 dimensions)), so c is N times that;
    where tau is not well above 1 / dimensions it is more than they have (e^13 at 0.07 and 8, where they have e^8).
    """
    batch, dimensions = student.shape
    scores = student @ teacher.mT / tau - (log(max(1, batch - 1)) + 1 / (2 * tau**2 * dimensions))
    if batch == 1:  # no negatives: c = 0, and h = 1 whatever the pair
        return scores.sum() * 0
    zero = scores.new_zeros(())
    own = scores.diagonal()
    return ((-own).logaddexp(zero) - own.logaddexp(zero) + scores.logaddexp(zero).sum(1)).mean()


def nce_loss(embeddings: Tensor, tau: float, partners: Tensor, negatives: Tensor, log_mean: float | Tensor) -> Tensor:
    """-log h(own pair) - the sum over N negatives of log(1 - h), averaged over the batch.

    h is the critic of equation 19 with P = exp(<., .> / tau) / Z for the exponential: P / (P + N / M), where M are the
    training samples, each 1 / M likely to be drawn, and Z is M times exp(`log_mean`). M cancels.

    Args:
        embeddings: [batch, dimensions], with gradient.
        tau: divides the cosines.
        partners: [batch, dimensions]: the other network's of the same samples.
        negatives: [N, dimensions] of the other network: drawn once for the whole batch, which has the same mean as
            a draw for each sample.
        log_mean: of the exponentials over negatives.
    """
    from torch.nn.functional import softplus

    log_c = log(len(negatives)) + log_mean
    own = (embeddings * partners).sum(1) / tau - log_c
    scores = embeddings @ negatives.mT / tau - log_c
    return (softplus(-own) + softplus(scores).sum(1)).mean()


@LOSSES.register
class Crd(FeatureLoss):
    """scale * `crd_loss` of the two features, each through a linear layer onto a sphere; both layers are learned.

    With `negatives`, scale * (`nce_loss` of the student among the teacher's embeddings + that of the teacher among the
    student's). All that an embedding is compared with, its partner too, is remembered from its sample's last visits, as
    in the authors' code; negatives are of all samples, where that code leaves out those of the same class.

    Of several workers, each takes its negatives from its own part of the batch; the memory is one for all.
    """

    compares_samples: ClassVar[bool] = True
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"tau": {"log": [0.05, 0.3]}}
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    decisive_options: ClassVar[tuple[str, ...]] = (*FeatureLoss.decisive_options, "negatives", "dimensions")
    scale: Weight = 0.1
    """The authors' is 0.8, in trainings of 240 epochs; the term is several times the labels' at first."""
    tau: Annotated[float, Field(ge=0.01)] = 0.07
    """Divides the cosines; smaller, and hard negatives count for more."""
    dimensions: Annotated[int, Field(ge=2, le=4096)] = 128
    """Dimensions of the space that the sphere is in."""
    negatives: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Drawn for each batch from a memory of all training samples; 0: the others of it. The authors' is 16,384."""

    @property
    def needed_samples(self) -> int:
        """Where the others of a batch are the negatives, there must be one."""
        return 1 if self.negatives else 2

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        """Two linear layers a pair."""
        from distill_tune.distillation.losses._projectors import Each, Embeddings

        pairs = zip(student, teacher, strict=True)
        return Each([Embeddings(ours, theirs, self.dimensions) for ours, theirs in pairs])

    def memory(self, pairs: int, samples: int, seed: int) -> nn.Module | None:
        """Both networks' embeddings of every sample, where negatives are drawn from them."""
        from distill_tune.distillation.losses._memory import Memory

        return Memory(pairs, samples, self.dimensions, self.negatives, self.tau, seed) if self.negatives else None

    def memory_bytes(self, samples: int) -> int:
        """Two float32 embeddings a sample and pair."""
        pairs = max(1, len(self.student_layers), len(self.teacher_layers))
        return 2 * 4 * self.dimensions * samples * pairs if self.negatives else 0

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See the class."""
        if not others:
            return self.scale * crd_loss(student, teacher, self.tau)
        with_teacher, with_student = others
        of_student = nce_loss(student, self.tau, *with_teacher)
        return self.scale * (of_student + nce_loss(teacher, self.tau, *with_student))
