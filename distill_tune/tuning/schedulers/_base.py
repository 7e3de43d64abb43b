"""What a scheduler is: a ladder of rungs, and a judge that says at each rung who trains on.

A judge is plain data without Ray, so a search that is taken up again rebuilds it by showing it the same reports. It
decides from the scores alone; a score that is not finite never goes on, under any scheduler.

A search of several objectives shows a judge several scores. Whoever is worse by the first of them may still be what
the search is after, a small student beside a large one, so such a judge asks who is dominated (`dominance.py`).

Whoever does not go on is stopped, or under a judge that `pauses`, kept at its rung until it may go on after all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

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
    """The score below which an arriving trial is stopped; None while too few have arrived to say, and where several
    objectives have no single one."""


class Judge(ABC):
    """Decides for one search."""

    pauses: ClassVar[bool] = False
    """Whether a trial that does not go on from a rung may do so later."""

    def __init__(self, rungs: list[Rung], max_epochs: int):
        self.rungs, self.max_epochs = rungs, max_epochs
        self.openers: set[str] = set()
        """The trials that no rung holds back, though they are measured there like all others."""
        self._rung_epochs = {rung.epochs for rung in rungs}

    def is_rung(self, epochs: int) -> bool:
        """Whether trials are compared after so many epochs."""
        return epochs in self._rung_epochs

    def goes_on(self, trial_id: str, epochs: int, score: float, *further: float) -> bool:
        """Whether the trial trains beyond `epochs`; a score is larger where better, and not finite where diverged.

        Asked once an epoch, in order; asking again for the same epoch changes nothing.

        Args:
            trial_id: whose.
            epochs: that it has trained.
            score: by the first objective.
            further: by each other one.
        """
        if not all(map(isfinite, (score, *further))):
            return False
        return not self.is_rung(epochs) or self._passes(trial_id, epochs, score, *further) or trial_id in self.openers

    def pause(self, trial_id: str, epochs: int) -> None:
        """A trial waits at the rung after `epochs`, and can be promoted from now on; only where `pauses`."""
        raise NotImplementedError

    def next_to_promote(self, is_last: bool) -> str | None:
        """The paused trial that may go on now; None where there is none.

        Args:
            is_last: no new trial comes, nobody is at work, and none has come to its end.
        """
        return None

    def drop(self, trial_id: str, epochs: int) -> None:
        """A trial that ended at the rung after `epochs` keeps nobody from going on there; only where `pauses`."""
        raise NotImplementedError

    def promote(self, trial_id: str, epochs: int) -> None:
        """The trial that waits after `epochs` goes on; only where `pauses`."""
        raise NotImplementedError

    @abstractmethod
    def _passes(self, trial_id: str, epochs: int, score: float, *further: float) -> bool:
        """Whether a trial at a rung goes on."""


class Scheduler(Options, ABC):
    """A scheduler's options, from `[search.<name>]`."""

    several_objectives: ClassVar[bool] = False
    """Whether its judge takes `further` scores."""

    @abstractmethod
    def judge(self, search: SearchConfig) -> Judge:
        """A judge for a new search."""


def ladder(search: SearchConfig) -> list[int]:
    """Epochs of the rungs: `min_epochs`, then times `reduction_factor`, below `max_epochs`."""
    epochs, found = search.min_epochs, list[int]()
    while epochs < search.max_epochs:
        found.append(epochs)
        epochs *= search.reduction_factor
    return found
