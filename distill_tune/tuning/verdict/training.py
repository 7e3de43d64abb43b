"""A training of a confirmation, and its deaths: does it end its process each time, or does something end all?

Memory that a student uses up by itself looks like memory that others have taken, or a node that is lost. So a training
whose process has died more than `search.retries` times is to blame where others have come to their end since it died
first. Where none has, it is no outcome, and a later session trains it again. If that ends in the same way, it is to
blame where any other has ever come to its end: else one that is the last to be trained would keep the confirmation
from being finished for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.confirmation import Candidate
from distill_tune.tuning.workers.assignment import Assignment


@dataclass(frozen=True)
class Training:
    """One seed of one candidate."""

    candidate: Candidate
    seed: int
    retries_left: int
    why: str = ""
    """What its process last died of."""
    completed_before: int | None = None
    """How many others were complete when its process died first."""

    @property
    def name(self) -> str:
        """The name of its record."""
        return self.candidate.run_name(self.seed)

    def died(self, why: str, num_completed: int) -> Training:
        """The same after a death of its process."""
        before = num_completed if self.completed_before is None else self.completed_before
        return replace(self, retries_left=self.retries_left - 1, why=why, completed_before=before)

    @property
    def may_begin_again(self) -> bool:
        """Whether a death may be an accident yet."""
        return self.retries_left >= 0

    def is_to_blame(self, num_completed: int, is_again: bool) -> bool:
        """Whether its deaths are its own, where `num_completed` trainings are complete in the end.

        `is_again` where an earlier session had begun it.
        """
        if self.may_begin_again or self.completed_before is None:
            return False
        return num_completed > (0 if is_again else self.completed_before)


@dataclass(frozen=True)
class TrainingAtWork:
    """A training that a worker has taken."""

    training: Training
    record: TrialRecord
    assignment: Assignment
