"""What a scheduler is: a ladder of rungs, and a judge that says at each rung who trains on.

A judge is plain data without Ray, so a search that is taken up again rebuilds it by showing it the same reports. It
decides from the scores alone and, where they are equal, by validation loss, as a search ranks its trials everywhere; a
score that is not finite never goes on, under any scheduler.

A search of several objectives shows a judge several scores. Whoever is worse by the first of them may still be what
the search is after, a small student beside a large one, so such a judge asks who is dominated (`dominance.py`).

Whoever does not go on is stopped, or under a judge that `pauses`, kept at its rung until it may go on after all. A
judge has one method to write, `passes_rung`; one that pauses has `pause`, `next_to_promote`, `promote` and `drop` too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, ClassVar

from distill_tune.errors import ConfigError
from distill_tune.overriding import check_called_alike
from distill_tune.registry import Options

if TYPE_CHECKING:
    from distill_tune.config.searching import SearchConfig


@dataclass
class Rung:
    """One decision point."""

    epochs: int
    scores: dict[str, float] = field(default_factory=dict)
    """Trial to its score when it arrived, by the first objective; larger is better."""
    cutoff: float | None = None
    """The score below which an arriving trial is stopped, as some with just this score may be; None while too few have
    arrived to say, and where several objectives have no single one."""


class Judge(ABC):
    """Decides for one search; trials are known by their names."""

    pauses: ClassVar[bool] = False
    """Whether a trial that does not go on from a rung waits there with its checkpoint, and may go on later."""

    def __init__(self, rungs: list[Rung], max_epochs: int):
        self.rungs, self.max_epochs = rungs, max_epochs
        self._rung_epochs = {rung.epochs for rung in rungs}
        self._answers: dict[tuple[str, int], bool] = {}
        """What was said of each trial at each rung, by a judge that does not pause."""

    def is_rung(self, epochs: int) -> bool:
        """Whether trials are compared after so many epochs."""
        return epochs in self._rung_epochs

    def goes_on(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float = 0.0) -> bool:
        """Whether the trial trains beyond `epochs`; a score is larger where better, and not finite where diverged.

        Asked once an epoch, in order; asking again for the same epoch changes nothing, whoever has arrived meanwhile: a
        trial that goes on from its checkpoint after a death has come past its rungs.

        Args:
            trial_id: whose.
            epochs: that it has trained.
            score: by the first objective.
            further: by each other one.
            tie_break: by what trials of equal scores are ranked where there is one objective; larger is better.
        """
        if not all(map(isfinite, (score, *further))):
            return False
        if not self.is_rung(epochs):
            return True
        by = -inf if isnan(tie_break) else tie_break
        if self.pauses:  # it may let on later whom it has stopped
            return self.passes_rung(trial_id, epochs, score, *further, tie_break=by)
        if (trial_id, epochs) not in self._answers:
            self._answers[trial_id, epochs] = self.passes_rung(trial_id, epochs, score, *further, tie_break=by)
        return self._answers[trial_id, epochs]

    @abstractmethod
    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Whether a trial goes on from the rung after `epochs`, which it may just have reached; arguments as `goes_on`.

        Not asked about scores that are not finite. Should enter the score into its rung's `scores`, from which the
        search shows who has arrived, and may set the rung's `cutoff`.
        """

    def pause(self, trial_id: str, epochs: int) -> None:
        """A trial waits at the rung after `epochs`, and can be promoted from now on; only where `pauses`.

        Called after `passes_rung` has said no, and again with the same when a search is taken up again.
        """
        raise NotImplementedError

    def next_to_promote(self, is_last: bool) -> str | None:
        """The paused trial that may go on now; None where there is none. Changes nothing.

        Asked whenever a place is free, before a new trial is proposed.

        Args:
            is_last: no new trial comes, nobody is at work, and none has come to its end.
        """
        return None

    def drop(self, trial_id: str, epochs: int) -> None:
        """A trial that has ended after `epochs`, at a rung or not, keeps nobody from going on; only where `pauses`.

        It was stopped or interrupted in an earlier session, and its checkpoint is gone.
        """
        raise NotImplementedError

    def promote(self, trial_id: str, epochs: int) -> None:
        """The trial that waits after `epochs` goes on, and waits no more; only where `pauses`."""
        raise NotImplementedError


class Scheduler(Options, ABC):
    """A scheduler's options, from `[search.<name>]`."""

    several_objectives: ClassVar[bool] = False
    """Whether its judge takes `further` scores."""

    @classmethod
    def of(cls, section: SearchConfig) -> Scheduler:
        """The scheduler that `[search]` names, with its options."""
        return section.chosen("scheduler", cls)

    @abstractmethod
    def judge(self, search: SearchConfig) -> Judge:
        """A judge for a new search."""

    def expected_epochs(self, search: SearchConfig) -> float:
        """Epochs of a trial on average, to estimate time by: if one in `search.reduction_factor` passes each rung."""
        rungs = {rung.epochs for rung in self.judge(search).rungs}
        return epochs_on_average(sorted(rungs), search.max_epochs, search.reduction_factor)

    @classmethod
    def judge_of(cls, search: SearchConfig) -> Judge:
        """A judge by the scheduler that `[search]` names.

        Raises:
            ConfigError: the scheduler, a user's own, gives none, or one that cannot be asked.
        """
        scheduler = cls.of(search)
        if ":" in search.scheduler:
            _check_judges(scheduler, search)
        return scheduler.judge(search)


def _check_judges(scheduler: Scheduler, search: SearchConfig) -> None:
    """Try a user's own on a judge that is asked nothing else."""
    import numpy as np

    judge: object = scheduler.judge(search)
    where = f"search.scheduler: `judge` of {search.scheduler!r} must give"
    if not isinstance(judge, Judge):
        raise ConfigError(f"{where} a Judge, but gave {judge!r:.60}; mend it.")
    check_called_alike(type(judge), Judge, search.scheduler)
    for rung in judge.rungs[:1]:
        answer: object = judge.passes_rung("0", rung.epochs, *(0.5 for _ in search.objectives), tie_break=0.0)
        if not isinstance(answer, bool | np.bool_):
            raise ConfigError(
                f"{where} one whose `passes_rung` says True or False, but it gave {answer!r:.60}; mend it."
            )


def epochs_on_average(rungs: Sequence[int], max_epochs: int, factor: int) -> float:
    """Of trials of which one in `factor` passes each of the `rungs`, and that end after `max_epochs` at the latest."""
    legs = enumerate(pairwise([0, *rungs, max_epochs]))
    return sum((stop - start) / float(factor) ** passed for passed, (start, stop) in legs)


def ladder(search: SearchConfig) -> list[int]:
    """Epochs of the rungs: `min_epochs`, then times `reduction_factor`, below `max_epochs`."""
    epochs, found = search.min_epochs, list[int]()
    while epochs < search.max_epochs:
        found.append(epochs)
        epochs *= search.reduction_factor
    return found
