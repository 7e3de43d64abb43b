"""A training of a confirmation: which others are identical to it, and whether it is to blame for its deaths.

When a process runs out of memory, one cannot tell whether the student, other programs or a lost node caused it. So a
training whose process has died more than `search.retries` times without a new epoch in between is to blame if others
have finished since the first of these deaths. If none has, there is no outcome, and a later session trains it again. If
that ends in the same way, it is to blame if any other training has ever finished: otherwise the last one left to train
could keep the confirmation from ever finishing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from distill_tune.config.sections import SECTIONS
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.workers.assignment import Assignment

_READ = SECTIONS.keys() - {"search", "confirm", "limits", "export"}
"""Sections of its configuration that a training reads, besides the number of its epochs.

From `search` it also reads seed and objectives, which are the space's, and so the same for both of its searches.
"""


@dataclass(frozen=True)
class Training:
    """One seed of one candidate."""

    candidate: Candidate
    seed: int
    retries_left: int
    why: str = ""
    """What its process last died of."""
    completed_before: int | None = None
    """How many others were complete when its process first died since its last new epoch."""

    @property
    def name(self) -> str:
        """The name of its record."""
        return self.candidate.run_name(self.seed)

    def is_like(self, other: Training) -> bool:
        """Whether the other would give the same result: same seed, and same values of all that a training reads."""
        ours, theirs = self.candidate.config, other.candidate.config
        return (
            self.seed == other.seed
            and ours.search.max_epochs == theirs.search.max_epochs
            and all(getattr(ours, section) == getattr(theirs, section) for section in _READ)
        )

    def begun_anew(self, retries: int) -> Training:
        """The same training after a new epoch: its earlier deaths, such as with lost nodes, no longer count."""
        return replace(self, retries_left=retries, why="", completed_before=None)

    def died(self, why: str, num_completed: int) -> Training:
        """The same training after one more death of its process."""
        before = num_completed if self.completed_before is None else self.completed_before
        return replace(self, retries_left=self.retries_left - 1, why=why, completed_before=before)

    @property
    def may_begin_again(self) -> bool:
        """Whether its deaths may still be accidents."""
        return self.retries_left >= 0

    def is_to_blame(self, num_completed: int, is_again: bool) -> bool:
        """Whether it caused its deaths, given that `num_completed` trainings are complete in the end.

        `is_again` says that an earlier session had already started it.
        """
        if self.may_begin_again or self.completed_before is None:
            return False
        return num_completed > (0 if is_again else self.completed_before)


def told_apart(
    asked: Iterable[Training], before: Iterable[Training] = ()
) -> tuple[list[Training], list[tuple[Training, Training]]]:
    """The trainings that differ from all `before` them, and each other one paired with the first identical one."""
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
    epochs_before: int
    """Epochs that were known when the worker took it."""

    @property
    def has_progressed(self) -> bool:
        """Whether the worker has trained an epoch that none had trained before."""
        return self.record.epochs > self.epochs_before
