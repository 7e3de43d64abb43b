"""The base classes of schedulers: a ladder of rungs, and a judge that decides at each rung which trials train on.

A judge is plain data without Ray, so a resumed search rebuilds it by showing it the same reports. It decides by the
scores and, if they are equal, by validation loss, as trials are ranked everywhere in a search. A trial whose score is
not finite never goes on, under any scheduler.

With several objectives a judge gets several scores. A trial that is worse by the first may still be what the search is
after, such as a small student next to a large one, so such a judge goes by domination (`dominance.py`).

A trial that does not go on is stopped or, under a judge that `pauses`, kept at its rung until it may go on after all.
A judge must implement `passes_rung`; one that pauses also `pause`, `next_to_promote`, `promote` and `drop`.
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
    """A decision point after a number of epochs."""

    epochs: int
    scores: dict[str, float] = field(default_factory=dict)
    """Each trial's score on arrival, by the first objective; larger is better."""
    cutoff: float | None = None
    """The score below which an arriving trial is stopped (at exactly this score it may be); None while too few have
    arrived, and with several objectives, which have no single cutoff."""


class Judge(ABC):
    """Decides for one search which trials go on; trials are identified by name."""

    pauses: ClassVar[bool] = False
    """Whether a trial that does not go on from a rung waits there with its checkpoint, and may go on later."""

    def __init__(self, rungs: list[Rung], max_epochs: int):
        self.rungs, self.max_epochs = rungs, max_epochs
        self._rung_epochs = {rung.epochs for rung in rungs}
        self._answers: dict[tuple[str, int], bool] = {}
        """The decision on each trial at each rung, of a judge that does not pause."""

    def is_rung(self, epochs: int) -> bool:
        """Whether trials are compared after this many epochs."""
        return epochs in self._rung_epochs

    def goes_on(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float = 0.0) -> bool:
        """Whether the trial trains beyond `epochs`; larger scores are better, and diverged ones are not finite.

        Called once per epoch, in order, and again about the last epoch of a trial that resumes after a crash. Whoever
        was let on is let on again, whatever has arrived meanwhile: it has already passed its rungs. A judge that does
        not pause also stands by each refusal; one that pauses may now let on a trial that it had refused.

        Args:
            trial_id: the trial.
            epochs: how many it has trained.
            score: its score by the first objective.
            further: its scores by the other objectives.
            tie_break: ranks trials of equal scores if there is one objective; larger is better.
        """
        if not all(map(isfinite, (score, *further))):
            return False
        if not self.is_rung(epochs):
            return True
        by = -inf if isnan(tie_break) else tie_break
        if self.pauses:  # it may later let on a trial that it has stopped
            return self.passes_rung(trial_id, epochs, score, *further, tie_break=by)
        if (trial_id, epochs) not in self._answers:
            self._answers[trial_id, epochs] = self.passes_rung(trial_id, epochs, score, *further, tie_break=by)
        return self._answers[trial_id, epochs]

    @abstractmethod
    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Whether a trial goes on from the rung after `epochs`, which it may just have reached; arguments as `goes_on`.

        Never called with scores that are not finite. Should enter the score into its rung's `scores`, by which the
        search shows what has arrived, and may set the rung's `cutoff`.
        """

    def pause(self, trial_id: str, epochs: int) -> None:
        """Keep a trial at the rung after `epochs`, from where it can be promoted; only if `pauses`.

        Called after `passes_rung` has returned False, and again with the same arguments when a search is resumed.
        """
        raise NotImplementedError

    def next_to_promote(self, is_last: bool) -> str | None:
        """The paused trial that may go on now; None if there is none. Changes nothing.

        Called whenever a place is free, before a new trial is proposed.

        Args:
            is_last: whether no new trial will come, none is running, and none has completed.
        """
        return None

    def drop(self, trial_id: str, epochs: int) -> None:
        """Let a trial that has ended after `epochs`, at a rung or not, hold back no other one; only if `pauses`.

        It was stopped or interrupted in an earlier session, and its checkpoint is gone.
        """
        raise NotImplementedError

    def promote(self, trial_id: str, epochs: int) -> None:
        """Let the trial that is paused after `epochs` go on; only if `pauses`."""
        raise NotImplementedError


class Scheduler(Options, ABC):
    """A scheduler's options, from `[search.<name>]`."""

    several_objectives: ClassVar[bool] = False
    """Whether its judge accepts `further` scores."""

    @classmethod
    def of(cls, section: SearchConfig) -> Scheduler:
        """The scheduler that `[search]` names, with its options."""
        return section.chosen("scheduler", cls)

    @abstractmethod
    def judge(self, search: SearchConfig) -> Judge:
        """A judge for a new search."""

    def expected_epochs(self, search: SearchConfig) -> float:
        """Mean epochs per trial, for time estimates; assumes that one in `search.reduction_factor` passes each rung."""
        rungs = {rung.epochs for rung in self.judge(search).rungs}
        return epochs_on_average(sorted(rungs), search.max_epochs, search.reduction_factor)

    @classmethod
    def judge_of(cls, search: SearchConfig) -> Judge:
        """A judge of the scheduler that `[search]` names.

        Raises:
            ConfigError: a custom scheduler returns no judge, or one that cannot be called as it must.
        """
        scheduler = cls.of(search)
        if ":" in search.scheduler:
            _check_judges(scheduler, search)
        return scheduler.judge(search)


def _check_judges(scheduler: Scheduler, search: SearchConfig) -> None:
    """Try out a custom scheduler on a throwaway judge."""
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
    """Mean epochs of trials if one in `factor` passes each of the `rungs`, up to `max_epochs`."""
    legs = enumerate(pairwise([0, *rungs, max_epochs]))
    return sum((stop - start) / float(factor) ** passed for passed, (start, stop) in legs)


def ladder(search: SearchConfig) -> list[int]:
    """Epochs of the rungs: `min_epochs`, multiplied by `reduction_factor` each time, below `max_epochs`."""
    epochs, found = search.min_epochs, list[int]()
    while epochs < search.max_epochs:
        found.append(epochs)
        epochs *= search.reduction_factor
    return found
