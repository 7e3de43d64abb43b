"""A pool of warm actors that share the confirmation's trainings and tolerate the death of some of them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import ray

from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import DistillTuneError, StorageError, last_line, one_line
from distill_tune.tuning.cluster.places import are_places_waited_for
from distill_tune.tuning.cluster.waiting_notice import WaitingNotice
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.running.lane_desk import retries_in_lanes
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation_runs import ConfirmationRuns
from distill_tune.tuning.verdict.confirmation_worker import ConfirmationWorker, WorkerContext
from distill_tune.tuning.verdict.training import Training, TrainingAtWork, told_apart
from distill_tune.tuning.verdict.work_queue import WorkQueue, dealt
from distill_tune.tuning.workers.groups import WORKERS

_WORKER_RESTARTS = 100
"""How often a worker is restarted: each training may cost it some restarts, and must not use up those of the others."""
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 1.0
"""How often to check, while waiting for a worker, whether it is still needed."""


class ConfirmationPool:
    """`with ConfirmationPool(...) as pool: pool.train(candidates)`, as often as needed."""

    def __init__(
        self,
        count: int,
        context: WorkerContext,
        prepared: Prepared,
        ledger: Ledger,
        budget: Budget,
        known: Mapping[str, TrialRecord] | None = None,
    ):
        """`count` workers; finished `known` trainings of an earlier session are not run again, started ones resumed."""
        self._count, self._context = count, context
        self._budget, self._say, self._lock = budget, ledger.say, threading.Lock()
        self._retries = context.retries if context.lanes == 1 else retries_in_lanes(context.retries)
        self._runs = ConfirmationRuns(ledger, known or {}, context.folder, prepared, context.files)
        self._workers, self._up, self._idle = list[Any](), set[Any](), set[Any]()
        """All workers; those that were up, with their groups, when last heard of; those waiting for a training."""
        self._notice, self._is_occupied = WaitingNotice(_PATIENCE_S, ledger.say, "the confirmation waits"), False
        self._met = list[Training]()
        """Trainings requested by any call, without duplicates."""
        self._left, self._why = list[Training](), "no worker could be kept running"
        """Trainings whose processes died too often; which are to blame is decided at the end."""

    def __enter__(self) -> ConfirmationPool:
        asked = self._context.resources
        cpus, gpus = (asked.cpus_per_worker, asked.gpus_per_worker) if asked.workers_per_trial == 1 else (0, 0)
        worker = ray.remote(ConfirmationWorker).options(num_cpus=cpus, num_gpus=gpus, max_restarts=_WORKER_RESTARTS)
        self._workers = [worker.remote(self._context, f"worker-{n}") for n in range(self._count)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for worker in self._workers:
            if (
                worker in self._up and self._budget.ended_by is None and kind is None
            ):  # otherwise it may still be training
                with suppress(ray.exceptions.RayError):  # it died: nothing left to release
                    ray.get(worker.close.remote())
            ray.kill(worker)
        shutil.rmtree(self._context.folder / WORKERS, ignore_errors=True)

    def train(self, candidates: list[Candidate]) -> None:
        """Train every candidate in each of its seeds; fills their `weights` and `reports`.

        Of identical trainings, here or in an earlier call, only one runs. A training that fails, or that keeps killing
        its process, leaves its seed out; if the budget ends, unfinished trainings are left out.

        Raises:
            DistillTuneError: a worker could not be kept running, or could not write a student; --resume continues.
        """
        runs = [Training(candidate, seed, self._retries) for candidate in candidates for seed in candidate.seeds]
        known = [training for training in runs if self._runs.is_known(training.candidate, training.seed)]
        names = {training.name for training in known}
        asked, alike = told_apart((run for run in runs if run.name not in names), [*self._met, *known])
        self._say_what_is_alike(alike)
        self._met += [*known, *asked]
        self._train(asked)
        for training, like in alike:
            self._runs.repeat(training, like)

    def _train(self, asked: list[Training]) -> None:
        queue, faults, self._left = WorkQueue(dealt(asked, self._count, self._context.lanes)), list[Exception](), []
        threads = [threading.Thread(target=self._work, args=(w, queue, faults), daemon=True) for w in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            why = one_line(faults[0])
            onward = "" if isinstance(faults[0], StorageError) else "; mend that, and --resume takes it up."
            raise DistillTuneError(f"the confirmation could not be finished: {why}{onward}") from faults[0]
        self._settle([*self._left, *(training for part in queue.close() for training in part)])

    def _say_what_is_alike(self, alike: list[tuple[Training, Training]]) -> None:
        for ours, theirs in dict.fromkeys((one.candidate.name, other.candidate.name) for one, other in alike):
            self._say(f"{ours} is {theirs} with the same settings and seeds, so both are trained once")

    def _settle(self, left: list[Training]) -> None:
        """Fail the trainings that are to blame; deaths that the machine caused are no outcome, and stay unfinished."""
        unsettled = self._runs.settle(left)
        if unsettled and self._budget.ended_by is None:
            why = unsettled[0].why or self._why
            raise DistillTuneError(f"the confirmation could not be finished: {why.rstrip('.')}; --resume takes it up.")

    def _work(self, worker: Any, queue: WorkQueue[list[Training]], faults: list[Exception]) -> None:
        """One worker's thread: train what is queued, as long as the worker is up."""
        try:
            while self._is_up(worker, queue) and (part := self._take(worker, queue)) is not None:
                self._train_some(worker, part, queue)
        except Exception as error:  # raised again in the thread that asked
            faults.append(error)
        if faults or self._budget.ended_by is not None:
            queue.close()

    def _take(self, worker: Any, queue: WorkQueue[list[Training]]) -> list[Training] | None:
        """The next trainings for a worker, which stays warm meanwhile in case some are put back."""
        with self._lock:
            self._idle.add(worker)
        part = queue.take()
        with self._lock:
            self._idle.discard(worker)
        return part

    def _is_up(self, worker: Any, queue: WorkQueue[list[Training]]) -> bool:
        """Wait for a worker to come up, or up again; False if Ray gave it up, or it is no longer needed.

        On a cluster that has lost a node, there may be no place for it until the others are done.
        """
        answer = None
        while self._budget.ended_by is None and not queue.is_done:
            if answer is None:  # not before: Ray reports failures of calls that nobody awaits
                answer = worker.ready.remote()
            if ray.wait([answer], timeout=_LOOK_EVERY_S)[0]:
                return self._answers(worker, answer)
            self._say_what_is_waited_for()
        return False

    def _say_what_is_waited_for(self) -> None:
        """Say once that no worker is up, after too long for a slow start."""
        with self._lock:
            self._notice.look(is_at_work=bool(self._up))

    def _say_of_occupied_gpus(self) -> None:
        with self._lock:
            is_known, self._is_occupied = self._is_occupied, True
        if not is_known:
            self._say("the confirmation waits for memory of a GPU that other programs occupy")

    def _lost(self, worker: Any) -> None:
        """Note that a worker, or its group, is down; if that lasts long, what it waits for is reported."""
        if worker in self._up:
            self._notice.look(is_at_work=True)  # it was, until now
            self._up.discard(worker)

    def _make_room_for(self, worker: Any) -> None:
        """Close idle workers if a worker's group is waiting for the places that they would keep to the end.

        A worker with several processes has its actor at once, and takes a training even if there is no room for its
        group.
        """
        with self._lock:  # so that an idle worker closes before it trains again, which recreates its group
            self._lost(worker)
            if self._idle and are_places_waited_for():
                for idle in self._idle:
                    idle.close.remote()
                self._up -= self._idle
                self._idle.clear()
        self._say_what_is_waited_for()

    def _answers(self, worker: Any, answer: Any) -> bool:
        try:
            ray.get(answer)
        except ray.exceptions.RayError as error:
            self._why = f"no worker could be kept running ({last_line(error)})"  # e.g. what its constructor raised
            return False
        self._up.add(worker)
        return True

    def _train_some(self, worker: Any, part: list[Training], queue: WorkQueue[list[Training]]) -> None:
        """Train to the end; if the worker's process or node dies, put unfinished trainings back."""
        at_work = {work.record.trial_id: work for work in map(self._runs.take, part)}
        try:
            self._trained(worker, at_work)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StorageError):
                raise error.cause from error
            for work in at_work.values():
                self._runs.fail(work.record, one_line(error.cause))
        except ray.exceptions.RayError as error:  # also if memory ran out, or a node was lost with its results
            self._lost(worker)
            if again := self._died(at_work.values(), one_line(error)):
                return queue.put_back(
                    *([training] for training in again)
                )  # separately from now on: one may be to blame
        queue.done()

    def _died(self, at_work: Iterable[TrainingAtWork], why: str) -> list[Training]:
        """The dead worker's trainings that are started again."""
        left = [work.training.begun_anew(self._retries) if work.has_progressed else work.training for work in at_work]
        dead = self._runs.died(left, why)
        with self._lock:
            self._left += [training for training in dead if not training.may_begin_again]
        return [training for training in dead if training.may_begin_again]

    def _trained(self, worker: Any, at_work: dict[str, TrainingAtWork]) -> None:
        """Train all to the end, or to the end of the epoch once the budget ends; finished trainings leave `at_work`.

        Raises:
            ray.exceptions.RayError: the worker's process died, or its results were lost.
        """
        asked = [work.assignment for work in at_work.values()]
        for reference in worker.train.options(num_returns="streaming").remote(asked):
            trial_id, reports, failure = ray.get(reference)
            if reports or failure is not None:
                self._up.add(worker)
            elif self._context.resources.workers_per_trial == 1:  # its one process is up
                self._say_of_occupied_gpus()
            else:
                self._make_room_for(worker)
            self._runs.hear(at_work[trial_id], reports)
            if failure is not None:
                self._runs.fail(at_work.pop(trial_id).record, failure)
            elif reports and reports[-1]["epoch"] >= at_work[trial_id].assignment.max_epochs:  # by now it is written
                self._runs.complete(at_work.pop(trial_id))
            if self._budget.ended_by is not None:
                for work in at_work.values():
                    self._runs.leave(work.record)
                return
