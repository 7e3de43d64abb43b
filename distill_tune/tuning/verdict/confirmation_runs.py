"""The trainings of a confirmation as its ledger has them: which are known, begun, reported and ended.

Asked by one thread a worker at a time; the lock is the ledger's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict.confirmation import Candidate, confirmation_record
from distill_tune.tuning.verdict.training import Training, TrainingAtWork
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import checkpoint_of
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.keeping import copy_students, fold_weights
from distill_tune.weights import are_whole

WEIGHTS = "confirmation"
"""The folder of a search with the students of its confirmation."""


def _is_of(record: TrialRecord, candidate: Candidate, seed: int) -> bool:
    """Whether it is of that candidate: baselines are called alike, whosoever they are."""
    of_both = (confirmation_record(candidate, seed), record)
    return len({json.dumps(each.values, sort_keys=True) for each in of_both}) == 1


class ConfirmationRuns:
    """Enters what becomes of trainings; a ledger's watchers see it."""

    def __init__(
        self, ledger: Ledger, known: Mapping[str, TrialRecord], folder: Path, prepared: Prepared, files: Files
    ):
        """`known` are the trainings of an earlier session, by their names; `folder` is the search's."""
        self._ledger, self._known, self._folder, self._prepared = ledger, known, folder, prepared
        self._files, self._lock = files, threading.Lock()

    @property
    def num_completed(self) -> int:
        """Trainings that have come to their end, also in an earlier session."""
        return self._ledger.count(Status.COMPLETED)

    def is_known(self, candidate: Candidate, seed: int) -> bool:
        """Whether the training ended in an earlier session; then its outcome is taken from there."""
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
        """Begin a training, or go on with one."""
        candidate, seed = training.candidate, training.seed
        weights, record = self._weights(candidate, seed), self._record(training)
        checkpoint = checkpoint_of(self._folder, record.trial_id)
        with self._lock:
            if record.trial_id not in self._ledger.records:
                self._ledger.start(record)
        assignment = Assignment(
            record.trial_id, candidate.config, seed, self._prepared, checkpoint, keep=weights, files=self._files
        )
        return TrainingAtWork(training, record, assignment)

    def hear(self, work: TrainingAtWork, reports: Sequence[Report]) -> None:
        """Enter the reports of a training's latest epochs."""
        with self._lock:
            for report in reports:
                if report["epoch"] > work.record.epochs:  # a worker that was started again repeats some
                    self._ledger.report(work.record.trial_id, report)

    def complete(self, work: TrainingAtWork) -> None:
        """A training has come to its end, and its student is written."""
        candidate, seed = work.training.candidate, work.training.seed
        candidate.take(seed, self._weights(candidate, seed), work.record.reports)
        self._end(work.record, Status.COMPLETED)

    def repeat(self, training: Training, like: Training) -> None:
        """Enter of a training what has become of one that it is like; its students are copies.

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
        """A training has failed; the others go on."""
        self._end(record, Status.FAILED, why)

    def leave(self, record: TrialRecord) -> None:
        """It goes on in another session; whoever has not begun stays so."""
        if record.trial_id in self._ledger.records:
            record.goes_on_later = True
            self._end(record, Status.INTERRUPTED)

    def died(self, trainings: Sequence[Training], why: str) -> list[Training]:
        """The trainings of a dead worker, each after one more death."""
        with self._lock:
            return [training.died(why, self.num_completed) for training in trainings]

    def settle(self, left: Sequence[Training]) -> list[Training]:
        """End what no worker has brought to its end; those whose own fault it is not are left as they are."""
        to_blame = [each for each in left if each.is_to_blame(self.num_completed, each.name in self._known)]
        for training in to_blame:
            self.fail(self._record(training), training.why)
        unsettled = [training for training in left if training not in to_blame]
        for training in unsettled:
            self.leave(self._record(training))
        return unsettled

    def _record(self, training: Training) -> TrialRecord:
        """Of a training that begins, goes on from an earlier session, or is begun again."""
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
