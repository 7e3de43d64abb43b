"""A teacher may take an hour over its views: whoever waits hears now and then how far it is."""

from collections.abc import Callable, Iterator
from time import monotonic

from distill_tune.teachers import Say

EVERY_S = 30.0


def told(count: int, say: Say, clock: Callable[[], float] = monotonic) -> Iterator[int]:
    """The numbers of `count` views, for who works them off, one by one."""
    began = last = clock()
    for view in range(count):
        yield view
        now, done = clock(), view + 1
        if done < count and now - last >= EVERY_S:
            last = now
            say(f"teacher is through {done} of {count} views, {_minutes((now - began) / done * (count - done))} more")


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else "a minute"
