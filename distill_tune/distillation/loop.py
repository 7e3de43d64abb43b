"""The loop: one student's training as a generator that yields a report an epoch.

Whoever pulls decides: `train.py` pulls to the end, a trial pulls one report at a time, and stopping a trial is closing the
generator. It runs in a notebook, under torchrun or inside a Ray Train worker alike: if a process group exists, the
student is data-parallel over it and reports are sums over all ranks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from distill_tune.config import Config
from distill_tune.distillation.batches import Batch, Batches, Shard
from distill_tune.distillation.materials import Materials
from distill_tune.distillation.objective import LossTerms, Objective
from distill_tune.distillation.schedule import rate_share
from distill_tune.distillation.validation import evaluate
from distill_tune.errors import TrainingError

Checkpoint = dict[str, Any]
"""`epoch`, `student` and `optimizer`: everything that the next epoch depends on, since its order is a function of seed."""


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch."""

    report: dict[str, float]
    checkpoint: Callable[[], Checkpoint]
    """Takes a checkpoint; only valid until the generator is pulled again."""
    student: nn.Module
    """The bare student, not wrapped for data parallelism."""


def distill(
    config: Config,
    materials: Materials,
    seed: int,
    device: torch.device | str = "cpu",
    resume: Checkpoint | None = None,
) -> Iterator[Epoch]:
    """Train one student to `search.max_epochs`, yielding after each epoch.

    Raises:
        TrainingError: the loss is not finite.
    """
    run = _Run(config, materials, seed, torch.device(device))
    if resume is not None:
        run.restore(resume)
    while run.epoch < config.search.max_epochs:
        yield run.next_epoch()


class _Run:
    def __init__(self, config: Config, materials: Materials, seed: int, device: torch.device):
        self.config, self.materials, self.seed, self.device = config, materials, seed, device
        self.shard = Shard(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Shard()
        torch.manual_seed(seed)
        self.student = materials.build_student(config).to(device)
        self.forward = _data_parallel(self.student, self.shard, device)
        self.optimizer: Optimizer = config.optim.chosen("kind").build(
            self.student, config.optim.learning_rate, config.optim.weight_decay
        )
        self.objective = Objective(config)
        self.batches: Batches = materials.batches(config, seed, self.shard, self.objective.uses_teacher)
        self.total_steps = config.search.max_epochs * self.batches.steps_per_epoch
        self.epoch = 0

    def restore(self, checkpoint: Checkpoint) -> None:
        self.student.load_state_dict(checkpoint["student"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.epoch = checkpoint["epoch"]

    def checkpoint(self) -> Checkpoint:
        return {
            "epoch": self.epoch,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def next_epoch(self) -> Epoch:
        self.epoch += 1
        torch.manual_seed(self.seed * 1_000_003 + self.epoch)  # dropout: so that a resumed epoch is the same epoch
        began_s, start = time.time(), time.perf_counter()
        report = self._train() | self._validate()
        training_s = time.perf_counter() - start
        report["epoch"] = self.epoch
        report["samples_per_s"] = self.batches.samples_per_epoch / training_s
        report["time/began_s"] = began_s
        report["time/training_s"] = training_s
        return Epoch(report, self.checkpoint, self.student)

    def _train(self) -> dict[str, float]:
        self.forward.train()
        step = (self.epoch - 1) * self.batches.steps_per_epoch
        sums = torch.zeros(3, device=self.device)
        for batch in self.batches.epoch(self.epoch):
            terms = self._step(batch, step)
            sums += torch.stack([terms.total, terms.hard, terms.hard if terms.soft is None else terms.soft]).detach()
            step += 1
        if self.shard.world_size > 1:
            dist.all_reduce(sums)
        total, hard, soft = (sums / (self.shard.world_size * self.batches.steps_per_epoch)).tolist()
        if not isfinite(total):
            raise TrainingError(f"the training loss is {total} in epoch {self.epoch}; the run has diverged.")
        report = {"train/loss": total, "train/hard_loss": hard, "learning_rate": self._set_rate(step - 1)}
        return report | ({"train/soft_loss": soft} if self.objective.uses_teacher else {})

    def _step(self, batch: Batch, step: int) -> LossTerms:
        self._set_rate(step)
        teacher_logits = self._teacher_logits(batch)
        with self._precision():
            logits = self.forward(batch.inputs)
        terms = self.objective(logits.float(), batch, teacher_logits)
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        if self.config.optim.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.student.parameters(), self.config.optim.gradient_clip)
        self.optimizer.step()
        return terms

    def _teacher_logits(self, batch: Batch) -> Tensor | None:
        if batch.teacher_logits is not None or self.materials.live_teacher is None or not self.objective.uses_teacher:
            return batch.teacher_logits
        with torch.no_grad():
            live: Tensor = self.materials.live_teacher(batch.inputs).float()
        return live

    def _set_rate(self, step: int) -> float:
        rate = self.config.optim.learning_rate * rate_share(self.config.optim.schedule, step, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _precision(self) -> AbstractContextManager[Any]:
        wanted = self.config.optim.precision
        on_gpu = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        if wanted == "bfloat16" or (wanted == "auto" and on_gpu):
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _validate(self) -> dict[str, float]:
        materials = self.materials
        if self.shard.world_size > 1:
            for buffer in self.student.buffers():  # batch statistics: every rank evaluates the same student
                dist.broadcast(buffer, src=0)
        teacher_logits = None if materials.teacher is None else materials.teacher.validation
        metrics = evaluate(
            self.student, materials.validation_inputs, materials.validation_labels, teacher_logits, self.shard
        )
        if not isfinite(metrics["loss"]):
            raise TrainingError(
                f"the validation loss is {metrics['loss']} in epoch {self.epoch}; the run has diverged."
            )
        report = {f"val/{name}": value for name, value in metrics.items()}
        return report | self._gap(metrics["accuracy"]) if self.epoch == self.config.search.max_epochs else report

    def _gap(self, validation_accuracy: float) -> dict[str, float]:
        """Training minus validation accuracy, both in eval mode and without augmentation, at the end of a run."""
        rows = slice(0, len(self.materials.validation_labels))
        labels = self.materials.labels[rows]
        accuracy = evaluate(self.student, self.materials.train_inputs[rows], labels, None, self.shard)["accuracy"]
        return {"train/accuracy": accuracy, "gap/accuracy": accuracy - validation_accuracy}


def _data_parallel(student: nn.Module, shard: Shard, device: torch.device) -> nn.Module:
    if shard.world_size == 1:
        return student
    return nn.parallel.DistributedDataParallel(student, device_ids=[device] if device.type == "cuda" else None)
