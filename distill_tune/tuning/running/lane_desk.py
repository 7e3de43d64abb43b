"""The desk: an actor between the search and its lane hosts, with the trials that each place has in hand.

The search puts a place's hand on the desk whenever it changes; the host reads it before each step. A host whose process
died finds its hand there again, and the desk remembers which trials were running then: a trial that keeps killing its
process must not take the other lanes along.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

Hand = dict[str, str]
"""Names of trials mapped to their sampled values, as JSON."""


@dataclass
class Turn:
    """What a host does in its next step."""

    hand: Hand = field(default_factory=dict)
    """All trials in hand; any others that the host holds are dropped."""
    due: list[str] = field(default_factory=list)
    """Trials to train now."""
    given_up: list[str] = field(default_factory=list)
    """Trials that were running too often when a process died."""


def retries_in_lanes(retries: int) -> int:
    """How often a training is tried again: at least once, as its first death, with others, need not be its fault."""
    return max(1, retries)


class LaneDesk:
    """The hands of all places.

    After a process's death every trial that was running is a suspect and trains alone: once, to be cleared, and after a
    second death for good. So a trial that kills processes soon kills only its own. The same holds if a GPU has no room
    for all of them, but none is given up for that: alone, a trial fails by itself.
    """

    def __init__(self, retries: int):
        self._retries = retries_in_lanes(retries)
        self._hands: defaultdict[int, Hand] = defaultdict(dict)
        self._at_work: dict[int, list[str]] = {}
        self._deaths: Counter[str] = Counter()
        self._crowded: Counter[str] = Counter()
        """How often each was running when a GPU had no room for all of them."""
        self._cleared: set[str] = set()

    def give(self, place: int, hand: Hand) -> None:
        """Set what the place has in hand from now on; called by the search."""
        self._hands[place] = hand

    def take(self, place: int, is_new: bool) -> Turn:
        """What to do next; called by a host, with `is_new` if its process has just started."""
        before = self._at_work.pop(place, [])
        if is_new:
            self._deaths.update(before)
            self._cleared.difference_update(before)
        else:
            self._cleared.update(before)
        hand = self._hands[place]
        given_up = [trial for trial in hand if self._deaths[trial] > self._retries]
        fit = [trial for trial in hand if trial not in given_up]
        suspects = [trial for trial in fit if self._is_suspect(trial)]
        due = suspects[:1] or fit
        self._at_work[place] = due
        return Turn(hand, due, given_up)

    def waits(self, place: int) -> None:
        """A host waits for memory, so nothing was trained that would clear a suspect."""
        self._at_work.pop(place, None)

    def had_no_room(self, place: int) -> None:
        """A host's GPU had no room for all that it was to train: each is tried alone, which is held against none."""
        self._crowded.update(before := self._at_work.pop(place, []))
        self._cleared.difference_update(before)

    def _is_suspect(self, trial: str) -> bool:
        times = self._deaths[trial] + self._crowded[trial]
        return times > 1 or (times == 1 and trial not in self._cleared)
