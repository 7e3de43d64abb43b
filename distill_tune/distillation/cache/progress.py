"""A teacher may take an hour over its views: whoever waits hears now and then how far it is."""

from collections.abc import Callable
from time import monotonic

from distill_tune.teachers import Say

EVERY_S = 30.0


class Progress:
    """Counts the samples that a teacher has seen, a view of one being one, and tells of them now and then."""

    def __init__(self, total: int, say: Say, clock: Callable[[], float] = monotonic):
        """`total` is how many it will see; `clock` gives seconds."""
        self._total, self._say, self._clock = total, say, clock
        self._done, self._began_s = 0, clock()
        self._told_s = self._began_s

    def seen(self, samples: int) -> None:
        """So many more."""
        self._done += samples
        now_s = self._clock()
        if self._done < self._total and now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            left_s = (now_s - self._began_s) / self._done * (self._total - self._done)
            share = min(self._done / self._total, 0.99)  # not 100 %, where there is more to come
            self._say(f"teacher has seen {share:.0%}, {in_minutes(left_s)} more")


def in_minutes(seconds: float) -> str:
    """So long, roughly: "about 12 min", or "a minute" for whatever is less than one and a half."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else "a minute"
