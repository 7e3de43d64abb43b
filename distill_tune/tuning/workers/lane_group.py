"""Several assignments at a time in this process: those that can be fused train as one (`distillation/lanes/`).

The counterpart of `worker_group.InProcessGroup` for many assignments, each of which joins, reports and leaves
independently.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.keeping import Keeper
from distill_tune.tuning.workers.worker_group import keep_to_share


@dataclass
class _Member:
    assignment: Assignment
    keeper: Keeper
    told: int = 0
    """How many of its epochs this process has returned to the caller."""


class LaneGroup:
    """Trains assignments side by side, an epoch of each at a time."""

    def __init__(self, resources: ResourcesConfig):
        self._resources, self._device = resources, resources.device
        self._members: dict[str, _Member] = {}

    def start(self) -> None:
        """Load torch, and keep what memory it frees on the CPU."""
        from distill_tune.distillation.lanes import Lanes
        from distill_tune.distillation.training.allocator import keep_freed_memory

        keep_freed_memory()
        self._lanes = Lanes(self._device)

    @property
    def trials(self) -> list[str]:
        """Names of the current assignments."""
        return list(self._members)

    def join(self, assignment: Assignment) -> None:
        """Add an assignment, resuming from its checkpoint if there is one; nothing is trained yet.

        Raises:
            Exception: whatever user-defined parts raise when they are built.
        """
        from distill_tune.distillation.materials.materials import Materials

        keep_to_share(self._resources)
        materials = Materials.open(assignment.prepared_here, assignment.config, self._device)
        keeper = Keeper(assignment)
        self._lanes.join(assignment.trial_id, assignment.config, materials, assignment.seed, keeper.resume)
        self._members[assignment.trial_id] = _Member(assignment, keeper)

    def leave(self, trial_id: str) -> None:
        """Drop an assignment."""
        self._lanes.leave(trial_id)
        self._members.pop(trial_id, None)

    def shutdown(self) -> None:
        """Drop everything."""
        for trial in self.trials:
            self.leave(trial)

    def next_reports(self, trials: Collection[str]) -> dict[str, list[Report] | Exception]:
        """Train one epoch of each of `trials`; return each one's new reports, or what it raised.

        A training that raised or finished is no longer in the group.
        """
        outcomes = self._lanes.next_epochs(trials)
        found: dict[str, list[Report] | Exception] = {}
        for trial_id, outcome in outcomes.items():
            member = self._members[trial_id]
            if isinstance(outcome, Exception):
                found[trial_id] = outcome
                self.leave(trial_id)
                continue
            member.keeper.keep(outcome.report, outcome.checkpoint, outcome.student)
            reports = member.keeper.reports
            found[trial_id], member.told = reports[member.told :], len(reports)
            if outcome.report["epoch"] >= member.assignment.max_epochs:
                self.leave(trial_id)
        return found
