"""Gradients that are written out equal autograd's."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from distill_tune.data import UNLABELLED
from distill_tune.distillation.lanes.batches import Side
from distill_tune.distillation.lanes.terms import is_written_out, labels_term, teachers_term
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import SoftTargets
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.objective import hard_losses

LANES, SAMPLES, CLASSES = 3, 8, 5


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[-1]))


@pytest.mark.parametrize("smoothings", [(0.0, 0.0, 0.0), (0.0, 0.1, 0.5)], ids=["sharp", "smooth"])
@pytest.mark.parametrize("is_mixed", [False, True], ids=["as they are", "mixed"])
def test_the_labels_term_and_its_gradient(smoothings: tuple[float, ...], is_mixed: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    labels, partners = torch.randint(UNLABELLED, CLASSES, (2, LANES, SAMPLES), generator=draw).unbind()
    share = torch.rand(LANES, SAMPLES, generator=draw)
    logits, weight = drawn(LANES, SAMPLES, CLASSES).requires_grad_(), torch.tensor([1.0, 0.3, 2.0])
    batch = Batch(logits, labels, None, partners if is_mixed else None, share if is_mixed else None, 0.8)
    expected = torch.stack(
        [
            hard_losses(own, batch._replace(labels=a, partner_labels=b, share=c), smoothing).sum()
            for own, a, b, c, smoothing in zip(
                logits,
                labels,
                partners if is_mixed else [None] * LANES,
                share if is_mixed else [None] * LANES,
                smoothings,
                strict=True,
            )
        ]
    )
    (gradient,) = torch.autograd.grad((expected * weight).sum(), logits)
    pairs = [(labels, share), (partners, 1 - share)] if is_mixed else [(labels, torch.ones_like(share))]
    sides = [Side(a.clamp(min=0).unsqueeze(1), (b * (a != UNLABELLED)).unsqueeze(1)) for a, b in pairs]
    smoothing = torch.tensor(smoothings)[:, None, None] if any(smoothings) else None
    found = labels_term(logits.detach().mT.contiguous(), sides, smoothing, weight[:, None, None])
    torch.testing.assert_close(found.values, expected.detach())
    torch.testing.assert_close(found.by_logits.mT, gradient)


class Derived(SoftTargets):
    """A subclass whose term is not the written-out one."""

    over_lanes: ClassVar[bool] = True

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        return 2 * super().soft(student_logits, teacher_logits, temperature)


@pytest.mark.parametrize("loss", [SoftTargets(), Derived()])
def test_the_teachers_term_and_its_gradient(loss: Loss) -> None:
    logits, teacher = drawn(LANES, SAMPLES, CLASSES).requires_grad_(), drawn(LANES, SAMPLES, CLASSES + 1)[..., 1:]
    temperature, weight = torch.tensor([1.0, 3.0, 8.0]), torch.tensor([0.0, 0.5, 1.0])
    expected = torch.stack([loss.soft(*own) for own in zip(logits, teacher, temperature.tolist(), strict=True)])
    (gradient,) = torch.autograd.grad((expected * weight).sum(), logits)
    found = teachers_term(loss, logits.detach().mT.contiguous(), teacher, temperature, None, weight)
    torch.testing.assert_close(found.values, expected.detach())
    torch.testing.assert_close(found.by_logits.mT, gradient)


def test_a_loss_that_is_derived_from_one_that_is_written_out_is_not() -> None:
    assert is_written_out(SoftTargets())
    assert not is_written_out(Derived())
