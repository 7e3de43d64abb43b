"""Several assignments at a time in this process: those that can be fused train as one (`distillation/lanes/`).

What `worker_group.InProcessGroup` is for one assignment; here each joins, is reported and leaves by itself.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distill_tune.tuning.records import Report
from distill_tune.tuning.worker_group import (
    Assignment,
    read_checkpoint,
    write_checkpoint,
)
from distill_tune.weights import write_weights

if TYPE_CHECKING:
    from distill_tune.distillation.loop import Epoch


@dataclass
class _Member:
    assignment: Assignment
    reports: list[Report]
    """Of all of its epochs."""
    told: int = 0
    """How many of them whoever asks has heard of in this process."""
    saved_s: float = field(default_factory=time.monotonic)


class LaneGroup:
    """Trains assignments side by side, an epoch of each at a time."""

    def __init__(self, num_threads: int, num_gpus: float):
        self._num_threads, self._device = num_threads, "cuda" if num_gpus else "cpu"
        self._members: dict[str, _Member] = {}

    def start(self) -> None:
        """Load torch, and keep to this place's share of the cores."""
        import torch

        from distill_tune.distillation.lanes import Lanes
        from distill_tune.distillation.memory import keep_freed_memory

        torch.set_num_threads(self._num_threads)
        keep_freed_memory()
        self._lanes = Lanes(self._device)

    @property
    def trials(self) -> list[str]:
        """Names of the assignments in hand."""
        return list(self._members)

    def join(self, assignment: Assignment) -> None:
        """Take an assignment up, from its checkpoint if there is one; nothing is trained yet.

        Raises:
            Exception: whatever a user's own parts raise when they are built.
        """
        from distill_tune.distillation.materials import Materials

        materials = Materials.open(assignment.prepared, assignment.config, self._device)
        resume = read_checkpoint(assignment.checkpoint, self._device)
        reports: list[Report] = resume.pop("reports", [])
        self._lanes.join(assignment.trial_id, assignment.config, materials, assignment.seed, resume or None)
        self._members[assignment.trial_id] = _Member(assignment, reports)

    def leave(self, trial_id: str) -> None:
        """Drop an assignment."""
        self._lanes.leave(trial_id)
        self._members.pop(trial_id, None)

    def shutdown(self) -> None:
        """Drop everything."""
        for trial in self.trials:
            self.leave(trial)

    def next_reports(self, trials: Collection[str]) -> dict[str, list[Report] | Exception]:
        """Train one epoch of each of `trials`; what has not been told of each, or what it raised.

        A training that has raised, or has come to its end, is no longer in hand.
        """
        outcomes = self._lanes.next_epochs(trials)
        found: dict[str, list[Report] | Exception] = {}
        for trial_id, outcome in outcomes.items():
            member = self._members[trial_id]
            if isinstance(outcome, Exception):
                found[trial_id] = outcome
                self.leave(trial_id)
                continue
            member.reports.append(outcome.report)
            self._keep(member, outcome)
            found[trial_id], member.told = member.reports[member.told :], len(member.reports)
        return found

    def _keep(self, member: _Member, epoch: Epoch) -> None:
        """Write what outlives this process: a checkpoint from time to time, and the student at the end."""
        assignment = member.assignment
        if epoch.report["epoch"] >= assignment.config.search.max_epochs:
            if assignment.keep is not None:
                write_weights(assignment.keep, epoch.student.state_dict())
            if assignment.checkpoint is not None:
                assignment.checkpoint.unlink(missing_ok=True)
            self.leave(assignment.trial_id)
        elif assignment.checkpoint is not None and assignment.is_checkpoint_due(epoch.report, member.saved_s):
            write_checkpoint(assignment.checkpoint, {**epoch.checkpoint(), "reports": member.reports})
            member.saved_s = time.monotonic()
