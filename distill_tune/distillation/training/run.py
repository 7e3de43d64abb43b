"""The state of one student's training (student, optimizer, samples, schedules), and how it trains an epoch.

If a process group exists, the student is data-parallel over it and reports are sums over all ranks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.data import UNLABELLED
from distill_tune.distillation.data_parallel import Shard, average_statistics, averaging, data_parallel
from distill_tune.distillation.features.tap import see_hooks_that_come_and_go
from distill_tune.distillation.initialisation import begin
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.materials.materials import CORRUPTED, Materials
from distill_tune.distillation.optimizers import optimizer_of
from distill_tune.distillation.precision import forward_context
from distill_tune.distillation.schedule import Rates, progress_at
from distill_tune.distillation.seeds import seed_of
from distill_tune.distillation.training.accumulation import Accumulation
from distill_tune.distillation.training.feature_terms import with_features
from distill_tune.distillation.training.live_teacher import LiveTeacher
from distill_tune.distillation.training.norm_limit import NormLimit, norm_limit
from distill_tune.distillation.training.objective import NO_FEATURES, LossTerms, Objective
from distill_tune.distillation.training.pace import laid_out
from distill_tune.distillation.training.validation import Sums, evaluate, share_right, sums_of
from distill_tune.distillation.training.written_out import are_terms_written_out, written_out
from distill_tune.errors import TrainingError

_GAP_BYTES = 1 << 30
"""Maximum bytes of training samples that are evaluated again, unaugmented, for the gap."""

Checkpoint = dict[str, Any]
"""All that the next epoch depends on: `epoch`, `student`, `optimizer` and, with feature losses, `projector`."""


@dataclass(frozen=True)
class Epoch:
    """The result of an epoch."""

    report: dict[str, float]
    checkpoint: Callable[[], Checkpoint]
    """Takes a checkpoint; only valid until the generator is pulled again."""
    student: nn.Module
    """The bare student, not wrapped for data parallelism."""
    validation: Sums
    """The sums from which the report's `val/...` were computed."""


class Run:
    """All that a training holds; `loop.py` trains one to the end, and `lanes/` trains several as one."""

    def __init__(self, config: Config, materials: Materials, seed: int, device: torch.device):
        self.config, self.materials, self.seed, self.device = config, materials, seed, device
        self.shard = Shard(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Shard()
        torch.manual_seed(seed_of(seed, "weights"))
        self.student = laid_out(materials.build_student(config).to(device), config.optim.memory_format)
        see_hooks_that_come_and_go()
        self.hold = begin(self.student, config, materials)
        self.limit_norm = NormLimit(self.student, norm_limit(config, materials.teacher_weights))
        self.objective = Objective(config)
        self.are_terms_written_out = are_terms_written_out(self.objective)
        self.taught = with_features(self.objective.on_features, self.student, materials, seed)
        self.trained: nn.Module = self.student if self.taught is None else self.taught
        self.forward = data_parallel(self.trained, self.shard, device, not self._has_parts_of_ones_own)
        beside = None if self.taught is None else self.taught.terms
        self.optimizer = optimizer_of(config.optim, self.student, beside)
        layers = () if self.taught is None else self.taught.teacher_layers
        live = materials.live_teacher if self.objective.uses_teacher else None
        turned = materials.teacher_anatomy().channels_last if live is not None and layers else ()
        self.teacher = None if live is None else LiveTeacher(live, layers, turned)
        self.precision = forward_context(config.optim.precision, device)
        self.batches = materials.batches(config, seed, self.shard, self.objective.uses_teacher, layers)
        self.steps = Accumulation(self.batches.steps_per_epoch, config.optim.accumulate)
        self.total_steps = config.search.max_epochs * self.steps.steps_per_epoch
        self.rates = Rates(self.optimizer, config.optim, self.total_steps)
        self.epoch = 0

    @property
    def _has_parts_of_ones_own(self) -> bool:
        """Whether a step may leave weights unused, because the student or a loss's projector is user-defined."""
        return any(":" in name for name in (self.config.student.family, *self.objective.on_features))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint."""
        self.student.load_state_dict(checkpoint["student"])
        if self.taught is not None:
            self.taught.terms.load_state_dict(checkpoint["projector"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.epoch = checkpoint["epoch"]

    def checkpoint(self) -> Checkpoint:
        """A checkpoint for `restore`."""
        states = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.taught is not None:
            states["projector"] = self.taught.terms.state_dict()
        return {"epoch": self.epoch, **states}

    def close(self) -> None:
        """Remove the hooks from student and teacher."""
        for each in (self.taught, self.teacher):
            if each is not None:
                each.close()

    def next_epoch(self) -> Epoch:
        """Train one epoch.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.epoch += 1
        # An epoch's random draws, such as dropout, depend on nothing before it, so a resumed epoch is identical.
        torch.manual_seed(seed_of(self.seed, self.epoch, self.shard.rank, "training"))
        began_s, start_s = time.time(), time.perf_counter()
        losses = self._train()
        return self.finished_epoch(losses, began_s, time.perf_counter() - start_s, self.checkpoint)

    def finished_epoch(
        self,
        losses: dict[str, float],
        began_s: float,
        trained_s: float,
        checkpoint: Callable[[], Checkpoint],
        validated: tuple[Sums, float] | None = None,
    ) -> Epoch:
        """Validate the student after an epoch that was trained in `trained_s`, and return the epoch's result.

        `validated` has the sums and seconds of the validation, if it has been done already.

        Raises:
            TrainingError: the loss is not finite.
        """
        report = losses | {"samples_per_s": self.batches.samples_per_epoch / trained_s}
        start_s = time.perf_counter() - (0.0 if validated is None else validated[1])
        validation = self.validation_sums() if validated is None else validated[0]
        report |= self.validation_report(validation)
        times = {"time/began_s": began_s, "time/training_s": trained_s + time.perf_counter() - start_s}
        return Epoch(report | {"epoch": self.epoch} | times, checkpoint, self.student, validation)

    def _train(self) -> dict[str, float]:
        self.forward.train()
        num_batches = self.batches.steps_per_epoch
        sums = torch.zeros(3 + len(self.objective.also), device=self.device)
        total, hard, soft, *also = sums.unbind()
        for batch_number, batch in enumerate(self.batches.epoch(self.epoch), (self.epoch - 1) * num_batches):
            loss, terms = self._learn(batch, batch_number)
            total += loss.detach()
            hard += terms.hard.detach()
            if terms.soft is not None:
                soft += terms.soft.detach()
            for its_sum, term in zip(also, terms.also, strict=True):
                its_sum += term.detach()
        if self.shard.world_size > 1:
            dist.all_reduce(sums)
        return self.training_report(*(sums / (self.shard.world_size * num_batches)).tolist())

    def training_report(self, total: float, hard: float, soft: float, *also: float) -> dict[str, float]:
        """The `train/...` part of an epoch's report, from the mean losses.

        Raises:
            TrainingError: the loss is not finite.
        """
        terms = {"train/hard_loss": hard} | ({"train/soft_loss": soft} if self.objective.has_soft else {})
        terms |= {f"train/{name}_loss": value for name, value in zip(self.objective.also, also, strict=True)}
        self._refuse_divergence("training", total)
        return {"train/loss": total, **terms, "learning_rate": self.rates.now}

    def _learn(self, batch: Batch, batch_number: int) -> tuple[Tensor, LossTerms]:
        """Add a batch's gradient and, after the last batch of a step, take the step."""
        turn = self.steps.turn(batch_number)
        if turn.begins:
            self.optimizer.zero_grad()
        progress = progress_at(turn.step, self.total_steps)
        with averaging(self.forward, turn.ends):
            logits, teacher_logits, on_features = self._answers(batch, batch_number)
            if self.are_terms_written_out:
                terms, by_logits = written_out(self.objective, logits, batch, teacher_logits, progress)
                loss = self.objective.weigh(*terms, progress)
                logits.backward(by_logits if turn.share == 1 else by_logits * turn.share)
            else:
                terms = self.objective.terms(logits, batch, teacher_logits, progress, on_features)
                loss = self.objective.weigh(*terms, progress)
                (loss if turn.share == 1 else loss * turn.share).backward()
        if turn.ends:
            self._step(turn.step)
        return loss, terms

    def _answers(self, batch: Batch, batch_number: int) -> tuple[Tensor, Tensor | None, Mapping[str, Tensor]]:
        """The student's and the teacher's logits, and the feature terms.

        The student runs before a live teacher, unless the student's forward pass compares their features.
        """
        teacher_logits, features, on_features = batch.teacher_logits, batch.teacher_features, NO_FEATURES
        if self.taught is None:
            with self.precision:
                logits = self.forward(batch.inputs)
        if self.teacher is not None:
            teacher_logits, features = self.teacher(batch.inputs)
        if self.taught is not None:
            with self.precision:
                logits, on_features = self.forward(batch.inputs, features, batch.rows, batch_number)
        return logits.float(), teacher_logits, on_features

    def _step(self, step: int) -> None:
        self.rates.set(step)
        if self.config.optim.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.config.optim.gradient_clip)
        with self.hold.at(step / self.total_steps):
            self.optimizer.step()
        self.limit_norm()

    def validation_sums(self) -> Sums:
        """Evaluate the current student on the validation samples."""
        materials = self.materials
        if self.shard.world_size > 1:
            average_statistics(self.trained, self.shard.world_size)
        teacher_logits = None if materials.teacher is None else materials.teacher.validation
        return sums_of(
            self.student, materials.validation_inputs, materials.validation_labels, teacher_logits, self.shard
        )

    def validation_report(self, validation: Sums) -> dict[str, float]:
        """The `val/...` part of an epoch's report.

        Raises:
            TrainingError: the loss is not finite.
        """
        materials, metrics = self.materials, validation.metrics
        self._refuse_divergence("validation", metrics["loss"])
        report = {f"val/{name}": value for name, value in metrics.items()}
        if materials.corrupted is not None:
            report[CORRUPTED] = share_right(self.student, *materials.corrupted, self.shard)
        return report | self._gap(metrics["accuracy"]) if self.epoch == self.config.search.max_epochs else report

    def _gap(self, validation_accuracy: float) -> dict[str, float]:
        """Training accuracy, and its gap to validation: in eval mode, unaugmented, on at most as many samples."""
        labels, inputs = self.materials.labels, self.materials.train_inputs
        generator = torch.Generator().manual_seed(seed_of(self.seed, "gap"))
        most = min(len(self.materials.validation_labels), max(1, _GAP_BYTES // inputs[:1].nbytes))
        labelled = (labels != UNLABELLED).nonzero().flatten()
        some = torch.randperm(len(labelled), generator=generator)[:most]
        rows = labelled[some.to(labels.device)]
        seen = inputs[rows.to(inputs.device)]
        accuracy = evaluate(self.student, seen, labels[rows], None, self.shard)["accuracy"]
        return {"train/accuracy": accuracy, "gap/accuracy": accuracy - validation_accuracy}

    def _refuse_divergence(self, which: str, loss: float) -> None:
        if not isfinite(loss):
            raise TrainingError(f"the {which} loss is {loss} in epoch {self.epoch}; the run has diverged.")
