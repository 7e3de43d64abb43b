"""A warm actor that trains the confirmation's students, one after another or several in fused lanes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import StorageError, one_line
from distill_tune.tuning.state.records import News, Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.faults import end_if_spoilt, log_fault
from distill_tune.tuning.workers.files import HERE, Files
from distill_tune.tuning.workers.groups import make_group
from distill_tune.tuning.workers.lane_group import LaneGroup
from distill_tune.tuning.workers.occupied_gpu import OccupiedGpu
from distill_tune.tuning.workers.worker_group import WorkerGroup, WorkersAreNotUp


@dataclass(frozen=True)
class WorkerContext:
    """What all workers of a confirmation share; each assignment brings its data and teacher."""

    resources: ResourcesConfig
    folder: Path
    """The search's."""
    lanes: int = 1
    """Trainings that run at the same time in one worker."""
    retries: int = 2
    """How often a training whose process died is started again; in lanes at least once."""
    files: Files = HERE
    """Access to the folder's files."""

    def group_of(self, name: str) -> WorkerGroup | LaneGroup:
        """The group of one worker, not yet started."""
        if self.lanes > 1:
            return LaneGroup(self.resources)
        return make_group(self.resources, self.folder, name, self.retries, self.files)


class ConfirmationWorker:
    """Trains batches of assignments: one at a time in a worker group, or several in lanes."""

    def __init__(self, context: WorkerContext, name: str):
        self._context, self._group = context, context.group_of(name)
        self._group.start()
        self._gpu = OccupiedGpu(context.resources)

    def train(self, assignments: list[Assignment]) -> Iterator[News]:
        """Train all to the end; yields the news of each after each epoch.

        Raises:
            StorageError: the result of one cannot be written.
        """
        try:
            if isinstance(self._group, LaneGroup):
                yield from self._in_lanes(self._group, assignments)
            else:
                for assignment in assignments:
                    yield from self._alone(self._group, assignment)
        except Exception as error:  # e.g. from dismantling lanes
            end_if_spoilt(error)
            raise

    @ray.method(max_task_retries=-1)
    def ready(self) -> None:
        """Return as soon as the worker is up, or up again: other calls fail at once while it is being restarted."""

    def close(self) -> None:
        """Release everything that the group holds."""
        self._group.shutdown()

    def _alone(self, group: WorkerGroup, assignment: Assignment) -> Iterator[News]:
        report: Report = {"epoch": 0}
        try:
            group.assign(assignment)
            while report["epoch"] < assignment.max_epochs:
                try:
                    report = dict(group.next_report())
                except WorkersAreNotUp:  # the caller may want to end the search
                    yield News(assignment.trial_id, [])
                else:
                    yield News(assignment.trial_id, [report])
        except StorageError:  # no outcome: it has finished, or has yet to start
            raise
        except Exception as error:  # this training failed, the others continue
            yield self._failed(assignment.trial_id, error)

    def _in_lanes(self, group: LaneGroup, assignments: list[Assignment]) -> Iterator[News]:
        """Train in lanes; those for which a GPU has no memory together are then trained one by one."""
        crowded = yield from self._together(group, assignments)
        for assignment in assignments:
            if assignment.trial_id in crowded:
                while (yield from self._together(group, [assignment])):
                    yield News(assignment.trial_id, [])  # the caller may want to end the search
                    self._gpu.pause()

    def _together(self, group: LaneGroup, assignments: list[Assignment]) -> Generator[News, None, set[str]]:
        """Train at the same time; returns those for which a GPU had no memory but may have later, or for one alone."""
        crowded = set[str]()
        for trial, found in self._outcomes(group, assignments):
            if not isinstance(found, Exception):
                self._gpu.reached(trial, found[-1]["epoch"])
                yield News(trial, found)
            elif self._gpu.allow_another_try(found, len(assignments)):
                crowded.add(trial)
            else:
                yield self._failed(trial, found)
        return crowded

    def _outcomes(
        self, group: LaneGroup, assignments: list[Assignment]
    ) -> Iterator[tuple[str, list[Report] | Exception]]:
        group.shutdown()  # leftovers of an earlier call that was not consumed to the end
        for assignment in assignments:
            try:
                group.join(assignment)
            except StorageError:  # no outcome: its node has no room for the data
                raise
            except Exception as error:  # this training failed, the others continue
                yield assignment.trial_id, error
        while group.trials:
            yield from group.next_reports(group.trials).items()

    def _failed(self, trial_id: str, error: Exception) -> News:
        log_fault(self._context.files, self._context.folder, trial_id, error)
        end_if_spoilt(error)
        return News(trial_id, [], one_line(error))
