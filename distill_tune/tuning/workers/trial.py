"""The process of a trial: an actor that owns a worker group and gives it one sampled configuration after another.

Tune's `reuse_actors` and `reset` keep the actor, and with it the group, from trial to trial.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ray

from distill_tune.config import Space
from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import StorageError, one_line
from distill_tune.tuning.schedulers import Judge, Scheduler
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import checkpoint_of
from distill_tune.tuning.workers.faults import end_if_spoilt, log_fault
from distill_tune.tuning.workers.files import HERE, Files
from distill_tune.tuning.workers.groups import make_group
from distill_tune.tuning.workers.tune_actor import TuneActor
from distill_tune.tuning.workers.worker_group import WorkerGroup, WorkersAreNotUp

REPORTS = "reports"
"""Key of a result with the reports of its epochs."""
FAILURE = "failure"
"""Key of a result that says why a trial failed."""
SAYS = "says"
"""Key of a result with what the user is to be told, once; empty if nothing."""
NO_ROOM = "no_room"
"""Key of a result that says why its node cannot have the search's files, for which no trial is to blame."""
DIED = "its worker died too often (logs/ has what it raised, if it raised anything)"
"""The message of a trial that kept dying after `search.retries` retries."""
STEP_S = 0.3
"""Approximate duration of a step that reaches no rung before."""


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a search share; put into the object store once."""

    space: Space
    prepared: Prepared
    result_folder: Path
    files: Files = HERE
    """Access to the folder's files."""
    lanes: int = 1
    """Trials that run at the same time in one place."""
    group_of: Callable[[ResourcesConfig, Path, str, int], WorkerGroup] | None = None
    """Creates another kind of group than `make_group` would.

    For example, one that trains nothing shows the overhead of a search (`benchmarks/scale.py`).
    """

    def assignment(self, trial_id: str, values: str) -> Assignment:
        """The assignment of a trial; `values` are its sampled values, as JSON."""
        run = self.space.at(json.loads(values))
        return Assignment(
            trial_id,
            run,
            run.search.seed,
            self.prepared,
            checkpoint_of(self.result_folder, trial_id),
            pauses=self.pauses,
            files=self.files,
        )

    def judge(self) -> Judge:
        """A judge without any trials, only to ask where the rungs are."""
        search = self.space.config.search
        return Scheduler.of(search).judge(search)

    @cached_property
    def pauses(self) -> frozenset[int]:
        """Epochs after which a trial may be paused and resumed later."""
        judge = self.judge()
        return frozenset(rung.epochs for rung in judge.rungs) if judge.pauses else frozenset()

    def log(self, trial_id: str, error: Exception) -> None:
        """Log what a trial's training raised."""
        log_fault(self.files, self.result_folder, trial_id, error)


class Trial(TuneActor):
    """Trains some epochs per step; an exception fails the trial, and ends the process only if it is spoilt."""

    def __init__(self, config: dict[str, Any], context: TrialContext):
        """Start the group, then assign the first configuration."""
        self._context = context
        self._judge = context.judge()
        asked = context.space.config
        make = context.group_of or partial(make_group, files=context.files)
        mine = str(ray.get_runtime_context().get_actor_id())
        self._group = make(asked.resources, context.result_folder, mine, asked.search.retries)
        self._group.start()
        self._assign(config)

    def reset(self, config: dict[str, Any]) -> bool:
        """Switch to another trial's configuration."""
        try:
            self._assign(config)
        except Exception as error:  # e.g. the mailbox was lost meanwhile
            end_if_spoilt(error)
            raise
        return True

    def train(self) -> dict[str, Any]:
        """Train to the next rung, but at least one epoch and not much longer than `STEP_S`; returns their reports.

        A step costs Tune some 20 ms, more than an epoch of a small student, and between rungs nothing is decided. The
        same holds for epochs of an earlier session or before a pause, which the group reports again. While the group's
        workers are not up, there may be no reports.
        """
        reports: list[Report] = []
        result: dict[str, Any] = {REPORTS: reports}
        until_s = time.monotonic() + STEP_S
        try:
            while not reports or (time.monotonic() < until_s and self._is_undecided(int(reports[-1]["epoch"]))):
                reports.append(dict(self._group.next_report()))
        except WorkersAreNotUp as error:
            return {**result, SAYS: str(error), "done": False}
        except StorageError as error:
            return {**result, NO_ROOM: str(error), "done": False}
        except Exception as error:  # whatever a custom loss or student raises: this trial fails, the search continues
            self._context.log(self._assignment.trial_id, error)
            end_if_spoilt(error)
            return {**result, FAILURE: one_line(error), "done": True}
        return {**result, "done": reports[-1]["epoch"] >= self._assignment.max_epochs}

    def _is_undecided(self, epoch: int) -> bool:
        is_known = epoch < self._known_epochs
        return is_known or (epoch < self._assignment.max_epochs and not self._judge.is_rung(epoch))

    def stop(self) -> None:
        """Give back everything that the group holds."""
        self._group.shutdown()

    def _assign(self, config: dict[str, Any]) -> None:
        self._assignment = self._context.assignment(config["trial"], config["values"])
        self._known_epochs = config["epochs"]
        self._group.assign(self._assignment)
