"""Batches of a few samples with logits, missing labels or mixed samples, and objectives for them."""

from typing import Any

import torch
from torch import Tensor

from distill_tune.config.validate import validate
from distill_tune.data import UNLABELLED
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.objective import Objective

CLASSES = 5


def objective(smoothing: float = 0.0, **loss: Any) -> Objective:
    tables: dict[str, Any] = {"data": {"source": "digits"}, "student": {"family": "mlp"}}
    return Objective(validate({**tables, "loss": loss, "optim": {"label_smoothing": smoothing}}))


def batch_of(size: int, seed: int, unlabelled: bool = False, mixed: bool = False) -> tuple[Tensor, Batch]:
    """Student logits, and a batch without inputs."""
    generator = torch.Generator().manual_seed(seed)

    def labels() -> Tensor:
        drawn = torch.randint(CLASSES, (size,), generator=generator)
        hidden = torch.rand(size, generator=generator) < 0.5
        return drawn.where(~hidden, UNLABELLED) if unlabelled else drawn

    share = torch.rand(size, generator=generator) if mixed else None
    logits, teacher = torch.randn(2, size, CLASSES, generator=generator).unbind()
    own, partners = labels(), labels() if mixed else None
    return logits, Batch(torch.empty(size, 0), own, teacher, partners, share, 0.5 if unlabelled else 1.0)
