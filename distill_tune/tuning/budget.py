"""When a search is over: enough trials, no time left, or the user has said so.

A budget that is used up never cuts a trial in the middle: the trials at work end after their step, which is an epoch or
a fraction of a second, through the same path as all others.
"""

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a search ended."""

    TIME = "the time is used up"
    USER = "interrupted"
    FAILURES = "every trial has failed"


@dataclass
class Budget:
    """Trials and time; the clock starts with the search."""

    trials: int
    time_s: float | None = None
    """For the search alone."""
    started_s: float = field(default_factory=time.monotonic)
    _ended_by: Reason | None = None

    def end(self, reason: Reason) -> None:
        """End the search after the steps at work; the first reason stays, but for the user's, which outranks all."""
        if self._ended_by is None or reason is Reason.USER:
            self._ended_by = reason

    @property
    def ended_by(self) -> Reason | None:
        """Why trials at work must end; None while they may go on."""
        if self._ended_by is None and self.time_s is not None and time.monotonic() - self.started_s >= self.time_s:
            self._ended_by = Reason.TIME
        return self._ended_by

    @property
    def deadline_s(self) -> float | None:
        """When the time is used up, on the monotonic clock; None without a time budget."""
        return None if self.time_s is None else self.started_s + self.time_s
