"""The trainings of a confirmation as recorded in its ledger: known, started, reported and ended.

Called from one thread per worker; the lock protects the ledger.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate, confirmation_record
from distill_tune.tuning.verdict.training import Training, TrainingAtWork
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import checkpoint_of
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.keeping import copy_students, fold_weights
from distill_tune.weights import are_whole

WEIGHTS = "confirmation"
"""Subfolder of a search's folder with the students of its confirmation."""


def _is_of(record: TrialRecord, candidate: Candidate, seed: int) -> bool:
    """Whether a record belongs to that candidate: baselines of different winners share their names."""
    of_both = (confirmation_record(candidate, seed), record)
    return len({json.dumps(each.values, sort_keys=True) for each in of_both}) == 1


class ConfirmationRuns:
    """Records the progress and outcome of trainings in a ledger, whose watchers see it."""

    def __init__(
        self, ledger: Ledger, known: Mapping[str, TrialRecord], folder: Path, prepared: Prepared, files: Files
    ):
        """`known` are the trainings of an earlier session by name; `folder` is the search's."""
        self._ledger, self._known, self._folder, self._prepared = ledger, known, folder, prepared
        self._files, self._lock = files, threading.Lock()

    @property
    def num_completed(self) -> int:
        """Number of finished trainings, including those of earlier sessions."""
        return self._ledger.count(Status.COMPLETED)

    def is_known(self, candidate: Candidate, seed: int) -> bool:
        """Whether the training ended in an earlier session; if so, its outcome is reused."""
        record, weights = self._known.get(candidate.run_name(seed)), self._weights(candidate, seed)
        if record is None or record.status is Status.RUNNING or not _is_of(record, candidate, seed):
            return False
        folds = (fold_weights(weights, number) for number in range(candidate.config.data.folds or 0))
        if record.status is Status.COMPLETED and not all(map(are_whole, (weights, *folds))):
            return False
        self._ledger.know(record)
        if record.status is Status.COMPLETED:
            candidate.take(seed, weights, record.reports)
        return True

    def take(self, training: Training) -> TrainingAtWork:
        """Start or resume a training."""
        candidate, seed = training.candidate, training.seed
        weights, record = self._weights(candidate, seed), self._record(training)
        checkpoint = checkpoint_of(self._folder, record.trial_id)
        with self._lock:
            if record.trial_id not in self._ledger.records:
                self._ledger.start(record)
        assignment = Assignment(
            record.trial_id, candidate.config, seed, self._prepared, checkpoint, keep=weights, files=self._files
        )
        return TrainingAtWork(training, record, assignment, record.epochs)

    def hear(self, work: TrainingAtWork, reports: Sequence[Report]) -> None:
        """Record the reports of a training's latest epochs."""
        with self._lock:
            for report in reports:
                if report["epoch"] > work.record.epochs:  # a restarted worker repeats some
                    self._ledger.report(work.record.trial_id, report)

    def complete(self, work: TrainingAtWork) -> None:
        """Record that a training finished and its student is written."""
        candidate, seed = work.training.candidate, work.training.seed
        candidate.take(seed, self._weights(candidate, seed), work.record.reports)
        self._end(work.record, Status.COMPLETED)

    def repeat(self, training: Training, like: Training) -> None:
        """Record for a training the outcome of an identical one, copying its students.

        Raises:
            StorageError: the copies cannot be written.
        """
        if like.seed in like.candidate.reports:
            work = self.take(training)
            self.hear(work, like.candidate.curves[like.seed])
            copy_students(like.candidate.weights[like.seed], work.assignment)
            self.complete(work)
        elif (record := self._ledger.records.get(like.name)) and record.status is Status.FAILED:
            self.fail(self._record(training), record.message)

    def fail(self, record: TrialRecord, why: str) -> None:
        """Record that a training failed; the others continue."""
        self._end(record, Status.FAILED, why)

    def leave(self, record: TrialRecord) -> None:
        """Leave a training to be resumed in another session; one that has not started is left unchanged."""
        if record.trial_id in self._ledger.records:
            record.goes_on_later = True
            self._end(record, Status.INTERRUPTED)

    def died(self, trainings: Sequence[Training], why: str) -> list[Training]:
        """The trainings of a dead worker, each with one more death counted."""
        with self._lock:
            return [training.died(why, self.num_completed) for training in trainings]

    def settle(self, left: Sequence[Training]) -> list[Training]:
        """Fail the unfinished trainings that are to blame; return the others, left as they are."""
        to_blame = [each for each in left if each.is_to_blame(self.num_completed, each.name in self._known)]
        for training in to_blame:
            self.fail(self._record(training), training.why)
        unsettled = [training for training in left if training not in to_blame]
        for training in unsettled:
            self.leave(self._record(training))
        return unsettled

    def _record(self, training: Training) -> TrialRecord:
        """The record of a training that starts, resumes from an earlier session, or starts again."""
        known = self._ledger.records.get(training.name) or self._known.get(training.name)
        if known is not None and known.status is Status.RUNNING:
            if _is_of(known, training.candidate, training.seed):
                return known
            checkpoint_of(self._folder, training.name).unlink(missing_ok=True)
        return confirmation_record(training.candidate, training.seed)

    def _weights(self, candidate: Candidate, seed: int) -> Path:
        return self._folder / WEIGHTS / f"{candidate.run_name(seed)}.safetensors"

    def _end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        with self._lock:
            self._ledger.end(record, status, message)
