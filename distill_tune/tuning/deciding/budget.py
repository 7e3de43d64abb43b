"""When a search is over: as soon as one of its budgets is used up, or the user stops it.

A used-up budget never cuts a step short: running trials end after their current step, which is an epoch or a fraction
of a second, through the same path as all others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

from distill_tune.config.searching import SearchConfig
from distill_tune.tuning.interrupts import Interrupt
from distill_tune.tuning.state.records import sign_of


class Reason(StrEnum):
    """Why a search ended; `ended_by` in the summary."""

    TRIALS = "trials"
    TIME = "time"
    EPOCHS = "epochs"
    TARGET = "target"
    PATIENCE = "patience"
    EXHAUSTED = "exhausted"
    FAILURES = "failures"
    STORAGE = "storage"
    USER = "user"


SENTENCES = {
    Reason.TRIALS: "all trials have ended",
    Reason.TIME: "the time is used up",
    Reason.EPOCHS: "the epochs are used up",
    Reason.TARGET: "the target is reached",
    Reason.PATIENCE: "no trial has been better for too long",
    Reason.EXHAUSTED: "no further student can be proposed",
    Reason.FAILURES: "every trial has failed",
    Reason.STORAGE: "files cannot be written",
    Reason.USER: "interrupted",
}


@dataclass
class Budget:
    """What a search may use; None means no bound."""

    trials: int
    time_s: float | None = None
    """Seconds for the search alone, from its first step."""
    epochs: int | None = None
    """Epochs of all trials together."""
    target: float = inf
    """The merit (larger is better) that is good enough."""
    patience: int | None = None
    """How many trials in a row may end without a better one among them."""
    interrupt: Interrupt = field(default_factory=Interrupt)
    spent_s: float = 0.0
    """Seconds used by earlier sessions of the same search."""
    _made_s: float = field(default_factory=time.time)
    _made_monotonic_s: float = field(default_factory=time.monotonic)
    _began_s: float | None = None
    _ended_by: Reason | None = None

    @classmethod
    def of(cls, search: SearchConfig, **of_session: Any) -> Budget:
        """The budget that `[search]` allows, apart from its time; `of_session` are the other fields."""
        merit = inf if search.target is None else sign_of(search.objectives[0]) * search.target
        return cls(search.trials, epochs=search.epochs, target=merit, patience=search.patience, **of_session)

    def begin(self, began_s: float) -> None:
        """Start the clock at the first step, which began at `began_s` (seconds since 1970).

        The machine may have been suspended since, which only the time of day counts.
        """
        if self._began_s is None:
            ago_s = max(0.0, time.time() - max(began_s, self._made_s))
            self._began_s = max(self._made_monotonic_s, time.monotonic() - ago_s)

    def end(self, reason: Reason) -> None:
        """End the search after the current steps; the first reason stays."""
        self._ended_by = self.ended_by or reason

    @property
    def ended_by(self) -> Reason | None:
        """Why running trials must end; None while they may go on. The user's interrupt outranks every other reason."""
        if self.interrupt.requested:
            return Reason.USER
        is_out_of_time = self.left_s is not None and self.left_s <= 0
        return self._ended_by or (Reason.TIME if is_out_of_time else None)

    @property
    def used_s(self) -> float:
        """Seconds used, including those of earlier sessions."""
        return self.spent_s + (0.0 if self._began_s is None else time.monotonic() - self._began_s)

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a time budget."""
        return None if self.time_s is None else self.time_s - self.used_s

    def note(self, epochs: int, merit: float, trials_without_better: int) -> None:
        """Check where the search stands: epochs trained, the best merit of any epoch, trials ended since then."""
        if merit >= self.target:
            self.end(Reason.TARGET)
        elif self.epochs is not None and epochs >= self.epochs:
            self.end(Reason.EPOCHS)
        elif self.patience is not None and trials_without_better >= self.patience:
            self.end(Reason.PATIENCE)
