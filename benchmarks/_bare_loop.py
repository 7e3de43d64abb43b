"""A PyTorch loop over cached logits as one would write it in a notebook, for benchmarks to compare with.

Soft targets, AdamW, a hand-set learning rate, one running loss, accuracy on the validation split. It shares with
distill_tune the student families, the prepared data and the teacher's logits, but nothing of its loop. Without
augmentation its inputs are normalised floats, prepared once; with augmentation, it calls the same transforms batch by
batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.seeds import seed_of

_EVALUATED_AT_ONCE = 1000


class Bare:
    """One student's training."""

    def __init__(self, config: Config, materials: Materials):
        torch.manual_seed(seed_of(config.search.seed, "weights"))
        self.config, self.labels = config, materials.labels
        self.student = materials.build_student(config)
        trained = list(self.student.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": config.optim.weight_decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.optim.learning_rate, fused=True)
        assert materials.teacher is not None
        self.logits = [materials.teacher.logits(view) for view in range(materials.teacher.num_views)]
        self.forward, self.inputs = self._forward_and_inputs(materials)
        self.steps = len(self.labels) // config.optim.batch_size
        self.epochs = 0

    def _forward_and_inputs(self, materials: Materials) -> tuple[nn.Module, Callable[[Tensor, int], Tensor]]:
        if any(self.config.augmentation.amounts.values()):
            return self.student, lambda index, view: materials.views.take(index, view).inputs
        normalise, network = self.student.get_submodule("normalise"), self.student.get_submodule("network")
        prepared = normalise(materials.train_inputs)
        return network, lambda index, view: prepared[index]

    def epoch(self, after_step: Callable[[], object] = lambda: None) -> Tensor:
        """Train one epoch; returns its mean loss."""
        self.student.train()
        batch, view = self.config.optim.batch_size, self.epochs % len(self.logits)
        temperature, soft_weight = self.config.loss.temperature, self.config.loss.soft_weight
        generator = torch.Generator().manual_seed(seed_of(self.config.search.seed, self.epochs, "order"))
        running = torch.zeros(())
        for index in torch.randperm(len(self.labels), generator=generator)[: self.steps * batch].split(batch):
            logits = self.forward(self.inputs(index, view))
            hard = F.cross_entropy(logits, self.labels[index])
            soft = F.kl_div(
                F.log_softmax(logits / temperature, 1),
                F.log_softmax(self.logits[view][index] / temperature, 1),
                reduction="batchmean",
                log_target=True,
            )
            loss = (1 - soft_weight) * hard + soft_weight * temperature**2 * soft
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            after_step()
            running += loss.detach()
        self.epochs += 1
        return running / self.steps


@torch.no_grad()
def accuracy(student: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of correct predictions."""
    student.eval()
    batches = zip(inputs.split(_EVALUATED_AT_ONCE), labels.split(_EVALUATED_AT_ONCE), strict=True)
    return sum(int((student(some).argmax(1) == wanted).sum()) for some, wanted in batches) / len(labels)
