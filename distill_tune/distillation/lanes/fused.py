"""Runs that train as one: their students are lanes of one network until they are released.

Between two epochs each lane is an ordinary `Run`, as in `distill`: its student holds its weights, and after `release`
its optimizer holds its moments. So the code for a single run also builds, validates, checkpoints and resumes lanes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.distillation.lanes.batches import lane_batches
from distill_tune.distillation.lanes.chain import chain_of
from distill_tune.distillation.lanes.network import LaneNetwork, stacked
from distill_tune.distillation.lanes.objective import LaneObjective
from distill_tune.distillation.lanes.validation import LaneValidation
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.optimizers import LaneStep, OptimizerKind
from distill_tune.distillation.optimizers._direct import DirectOptimizer
from distill_tune.distillation.schedule import learning_rate, progress_at
from distill_tune.distillation.training.run import Checkpoint, Epoch, Run
from distill_tune.distillation.training.validation import Sums
from distill_tune.errors import TrainingError

_CLIP_EPSILON = 1e-6
"""The same as in `torch.nn.utils.clip_grad_norm_`."""


def may_fuse(config: Config, student: nn.Module) -> bool:
    """Whether such a training could be fused with others, as far as known before its data are opened."""
    parts_can = Loss.of(config.loss).over_lanes and OptimizerKind.of(config.optim).over_lanes
    steps_can = config.optim.accumulate == 1 and config.optim.precision != "bfloat16"
    return parts_can and steps_can and chain_of(student) is not None


def fusing_key(run: Run) -> str | None:
    """A key that is equal for runs that can be fused; None if the run cannot be fused with any."""
    optimizer = OptimizerKind.of(run.config.optim)
    can = (
        may_fuse(run.config, run.student)
        and isinstance(run.precision, nullcontext)
        and run.hold.is_free
        and run.limit_norm.is_free
        and run.teacher is None
        and run.objective.is_plain
        and run.shard.world_size == 1
    )
    if not can:
        return None
    batches = run.batches
    shape = f"{batches.batch_size} {batches.steps_per_epoch} {batches.passes} {batches.mixes}"
    return f"{shape} {type(optimizer)} {optimizer!r} {_normalisation(run.student)}"


def _normalisation(student: nn.Module) -> list[Any]:
    """The constants that normalise inputs, shared by all lanes; a student may have its teacher's."""
    return [tensor.tolist() for tensor in student.get_submodule("normalise").buffers()]


class Fused:
    """Runs with the same `fusing_key`, in any order."""

    def __init__(self, runs: Sequence[Run]):
        chains = [chain for run in runs if (chain := chain_of(run.student)) is not None]
        order = [number for stack in stacked(chains) for number in stack]
        self.runs, self._chains = [runs[number] for number in order], [chains[number] for number in order]
        self._device = self.runs[0].device
        self._network = LaneNetwork(self._chains, self._device)
        self._optimizer = OptimizerKind.of(self.runs[0].config.optim)
        samples = [run.batches.batch_size * run.batches.labelled_share for run in self.runs]
        self._objective = LaneObjective([run.objective for run in self.runs], samples, self._device)
        self._validation = LaneValidation.of(self.runs)
        self._load()

    def _load(self) -> None:
        """Copy the state of the runs' optimizers."""
        network, self._is_released = self._network, True
        count = len(self._running(0, self._chains[0].layers[0].weight)[0])
        self._memories = [torch.zeros_like(network.rows) for _ in range(count)]
        self._decay = torch.zeros_like(network.rows)
        for lane, parameter, view in network.views(self._decay):
            view.fill_(self.runs[lane].config.optim.weight_decay if parameter.dim() > 1 else 0.0)
        for number, rows in enumerate(self._memories):
            for lane, parameter, view in network.views(rows):
                view.copy_(self._running(lane, parameter)[0][number])
        clips = [run.config.optim.gradient_clip for run in self.runs]
        self._clip = None
        if any(clip is not None for clip in clips):
            self._clip = torch.tensor([[clip or float("inf")] for clip in clips], device=self._device)

    def _running(self, lane: int, parameter: Tensor) -> tuple[list[Tensor], Tensor]:
        """The state that a run's optimizer keeps for a parameter."""
        optimizer = self.runs[lane].optimizer
        assert isinstance(optimizer, DirectOptimizer), "as `over_lanes` says"
        return optimizer.running(parameter)

    @torch.no_grad()
    def release(self) -> None:
        """Copy optimizer state back to the runs, unless it is up to date, so that they can continue alone."""
        if self._is_released:
            return
        self._is_released = True
        for number, rows in enumerate(self._memories):
            for lane, parameter, view in self._network.views(rows):
                memories, steps = self._running(lane, parameter)
                memories[number].copy_(view)
                steps.fill_(self.runs[lane].epoch * self.runs[lane].batches.steps_per_epoch)

    def next_epochs(self) -> Iterator[tuple[Run, Epoch | TrainingError]]:
        """Train one epoch of every lane and yield each run with its outcome."""
        began_s, start_s = time.time(), time.perf_counter()
        self._is_released = False
        for run in self.runs:
            run.epoch += 1
        losses = self._train()
        self._store()
        share_s = (time.perf_counter() - start_s) / len(self.runs)  # training time per run
        for run, means, validated in zip(self.runs, losses, self._validated(), strict=True):
            try:
                report, checkpoint = run.training_report(*means), partial(self._checkpoint, run)
                yield run, run.finished_epoch(report, began_s, share_s, checkpoint, validated)
            except TrainingError as error:
                yield run, error

    def _validated(self) -> list[tuple[Sums, float]] | list[None]:
        """Validation sums per run with the seconds they took; None for runs that are validated separately."""
        if self._validation is None:
            return [None] * len(self.runs)
        start_s = time.perf_counter()
        sums = self._validation.sums(self._network, self._chains[0].normalise)
        share_s = (time.perf_counter() - start_s) / len(sums)
        return [(each, share_s) for each in sums]

    def _checkpoint(self, run: Run) -> Checkpoint:
        self.release()
        return run.checkpoint()

    @torch.no_grad()
    def _store(self) -> None:
        """Copy each lane's weights back to its student."""
        for _, parameter, view in self._network.views(self._network.rows):
            parameter.copy_(view)

    @torch.no_grad()
    def _train(self) -> list[list[float]]:
        """Train one epoch; return each lane's three losses, averaged over the steps."""
        rates, numbers = self._begin()
        normalise, features = self._chains[0].normalise, self._chains[0].layers[0].in_features
        groups = [group.numbers for group in self._objective.groups]
        batches = lane_batches(self.runs, normalise, features, groups)
        for batch, rate, number in zip(batches, rates, numbers, strict=True):
            self._network.backward(self._objective.by_logits(self._network.forward(batch.inputs), batch))
            self._move(rate, number)
        self._network.rest()
        return self._objective.means()

    def _begin(self) -> tuple[Tensor, Tensor]:
        """Learning rates and step numbers (from 1) of this epoch's steps, both [steps, lanes, 1]."""
        steps = self.runs[0].batches.steps_per_epoch
        at = [[(run.epoch - 1) * steps + step for run in self.runs] for step in range(steps)]
        self._objective.begin(
            [[progress_at(n, run.total_steps) for n, run in zip(ns, self.runs, strict=True)] for ns in at]
        )
        optims = [(run.config.optim, run.total_steps) for run in self.runs]
        rates = [[learning_rate(optim, n, total) for n, (optim, total) in zip(ns, optims, strict=True)] for ns in at]
        for run, last in zip(self.runs, at[-1], strict=True):
            run.rates.set(last)
        found = torch.tensor(rates, device=self._device), (torch.tensor(at, device=self._device) + 1).float()
        return found[0].unsqueeze(-1), found[1].unsqueeze(-1)

    def _move(self, rates: Tensor, numbers: Tensor) -> None:
        gradients = self._network.gradients
        if self._clip is not None:
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            gradients.mul_((self._clip / (norms + _CLIP_EPSILON)).clamp_(max=1.0))
        self._optimizer.step_lanes(LaneStep(self._network.rows, gradients, self._memories, rates, self._decay, numbers))
