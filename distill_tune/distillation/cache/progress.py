"""Report a teacher's progress now and then: it may take an hour to label its views."""

from collections.abc import Callable
from time import monotonic

from distill_tune.teachers import Say

EVERY_S = 30.0


class Progress:
    """Counts the samples that a teacher has seen, each view separately, and reports the share now and then."""

    def __init__(self, total: int, say: Say, clock: Callable[[], float] = monotonic):
        """`total` is the number of samples that it will see; `clock` returns seconds."""
        self._total, self._say, self._clock = total, say, clock
        self._done, self._began_s = 0, clock()
        self._told_s = self._began_s

    def seen(self, samples: int) -> None:
        """Add `samples` to the count."""
        self._done += samples
        now_s = self._clock()
        if self._done < self._total and now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            left_s = (now_s - self._began_s) / self._done * (self._total - self._done)
            share = min(self._done / self._total, 0.99)  # not 100 % before the end
            self._say(f"teacher has seen {share:.0%}, {in_minutes(left_s)} more")


def in_minutes(seconds: float) -> str:
    """A duration, roughly: "about 12 min", or "a minute" for anything below one and a half."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else "a minute"
