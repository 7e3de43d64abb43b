"""Contrastive representation distillation: tell which student and teacher features belong to the same sample.

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
    """-log h(own pair) - the sum of log(1 - h) over a sample's other pairs, averaged over the batch.

    h = exp(<s, t> / tau) / (exp(<s, t> / tau) + c) is the critic of equation 19, and both inputs are [batch,
    dimensions] of length 1. A sample's negatives are the N other samples of its batch, instead of 16,384 from a memory.
    In the paper c = N / M for M training samples, and the authors' code divides the exponentials by M times their mean
    in the first batch. Here that mean is the estimate for random directions, exp(1 / (2 tau^2 dimensions)), and c is N
    times it; unless tau is well above 1 / dimensions, the estimate is too large (e^13 instead of e^8 at tau = 0.07 and
    8 dimensions).
    """
    batch, dimensions = student.shape
    scores = student @ teacher.mT / tau - (log(max(1, batch - 1)) + 1 / (2 * tau**2 * dimensions))
    if batch == 1:  # no negatives: c = 0, so h = 1 for any pair
        return scores.sum() * 0
    zero = scores.new_zeros(())
    own = scores.diagonal()
    return ((-own).logaddexp(zero) - own.logaddexp(zero) + scores.logaddexp(zero).sum(1)).mean()


def nce_loss(embeddings: Tensor, tau: float, partners: Tensor, negatives: Tensor, log_mean: float | Tensor) -> Tensor:
    """-log h(own pair) - the sum of log(1 - h) over N negatives, averaged over the batch.

    h is the critic of equation 19 with P = exp(<., .> / tau) / Z for the exponential: P / (P + N / M), where M is the
    number of training samples, each drawn with probability 1 / M, and Z is M times exp(`log_mean`). M cancels.

    Args:
        embeddings: [batch, dimensions], with gradient.
        tau: divides the cosines.
        partners: [batch, dimensions]: the other network's embeddings of the same samples.
        negatives: [N, dimensions] of the other network, drawn once for the whole batch, which has the same mean as
            a draw per sample.
        log_mean: log of the mean of the exponentials over negatives.
    """
    from torch.nn.functional import softplus

    log_c = log(len(negatives)) + log_mean
    own = (embeddings * partners).sum(1) / tau - log_c
    scores = embeddings @ negatives.mT / tau - log_c
    return (softplus(-own) + softplus(scores).sum(1)).mean()


@LOSSES.register
class Crd(FeatureLoss):
    """scale * `crd_loss` of the two features, each mapped onto a sphere by a learned linear layer.

    With `negatives`, scale * (`nce_loss` of the student against the teacher's embeddings + that of the teacher against
    the student's). Everything an embedding is compared with, its partner included, is remembered from the samples' last
    visits, as in the authors' code. Negatives come from all samples; the authors' code excludes those of the same
    class.

    With several workers, each takes its negatives from its own part of the batch; the memory is shared by all.
    """

    compares_samples: ClassVar[bool] = True
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"tau": {"log": [0.05, 0.3]}}
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    decisive_options: ClassVar[tuple[str, ...]] = (*FeatureLoss.decisive_options, "negatives", "dimensions")
    scale: Weight = 0.1
    """The authors use 0.8, training for 240 epochs; at first the term is several times the labels' term."""
    tau: Annotated[float, Field(ge=0.01)] = 0.07
    """Divides the cosines; the smaller it is, the more hard negatives count."""
    dimensions: Annotated[int, Field(ge=2, le=4096)] = 128
    """Dimensions of the embedding space."""
    negatives: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Drawn per batch from a memory of all training samples (authors: 16,384); 0: the batch's other samples."""

    @property
    def needed_samples(self) -> int:
        """Two if the negatives are a batch's other samples."""
        return 1 if self.negatives else 2

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        """Two linear layers per pair."""
        from distill_tune.distillation.losses._projectors import Each, Embeddings

        pairs = zip(student, teacher, strict=True)
        return Each([Embeddings(ours, theirs, self.dimensions) for ours, theirs in pairs])

    def memory(self, pairs: int, samples: int, seed: int) -> nn.Module | None:
        """Both networks' embeddings of every sample, if negatives are drawn from them."""
        from distill_tune.distillation.losses._memory import Memory

        return Memory(pairs, samples, self.dimensions, self.negatives, self.tau, seed) if self.negatives else None

    def memory_bytes(self, samples: int) -> int:
        """Two float32 embeddings per sample and pair."""
        pairs = max(1, len(self.student_layers), len(self.teacher_layers))
        return 2 * 4 * self.dimensions * samples * pairs if self.negatives else 0

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See the class."""
        if not others:
            return self.scale * crd_loss(student, teacher, self.tau)
        with_teacher, with_student = others
        of_student = nce_loss(student, self.tau, *with_teacher)
        return self.scale * (of_student + nce_loss(teacher, self.tau, *with_student))
