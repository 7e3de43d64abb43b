"""A training of a confirmation: which others are like it, and who is to blame for its deaths.

Memory that a student uses up by itself looks like memory that others have taken, or a node that is lost. So a training
whose process has died more than `search.retries` times is to blame where others have come to their end since it died
first. Where none has, it is no outcome, and a later session trains it again. If that ends in the same way, it is to
blame where any other has ever come to its end: else one that is the last to be trained would keep the confirmation
from being finished for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from distill_tune.config.sections import SECTIONS
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.confirmation import Candidate
from distill_tune.tuning.workers.assignment import Assignment

_READ = SECTIONS.keys() - {"search", "confirm", "limits", "export"}
"""What a training reads of its configuration, beside the number of its epochs. Of `search` it also reads seed and
objectives, which are those of the space, and so the same for both of its searches."""


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

    def is_like(self, other: Training) -> bool:
        """Whether the other would come to the same: the same seed, and all that a training reads."""
        ours, theirs = self.candidate.config, other.candidate.config
        return (
            self.seed == other.seed
            and ours.search.max_epochs == theirs.search.max_epochs
            and all(getattr(ours, section) == getattr(theirs, section) for section in _READ)
        )

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


def told_apart(
    asked: Iterable[Training], before: Iterable[Training] = ()
) -> tuple[list[Training], list[tuple[Training, Training]]]:
    """Those that are unlike all `before` them, and each other one with the first that it is like."""
    met, unlike, alike = [*before], list[Training](), list[tuple[Training, Training]]()
    for training in asked:
        like = next((other for other in met if training.is_like(other)), None)
        if like is None:
            met.append(training)
            unlike.append(training)
        else:
            alike.append((training, like))
    return unlike, alike


@dataclass(frozen=True)
class TrainingAtWork:
    """A training that a worker has taken."""

    training: Training
    record: TrialRecord
    assignment: Assignment
