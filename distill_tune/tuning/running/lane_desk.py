"""The desk: an actor between the search and its lane hosts, with the trials that each place has in hand.

The search lays a place's hand on the desk whenever it changes; the host takes from it before each step. A host whose
process died finds its hand there again, and the desk remembers who was at work then: whoever ends a process again and
again must not take the other lanes along.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

Hand = dict[str, str]
"""Names of trials to their sampled values, as JSON."""


@dataclass
class Turn:
    """What a host does in its next step."""

    hand: Hand = field(default_factory=dict)
    """All that it has in hand; what else it holds, it drops."""
    due: list[str] = field(default_factory=list)
    """Trains now."""
    given_up: list[str] = field(default_factory=list)
    """Was at work too often when a process died."""


class LaneDesk:
    """The hands of all places.

    After a death everyone who was at work is a suspect and trains alone: once, to be cleared, and after a second death
    for good. So the one that ends processes is soon alone with it.
    """

    def __init__(self, retries: int):
        self._retries = max(1, retries)  # who was in company at the first death need not be at fault
        self._hands: defaultdict[int, Hand] = defaultdict(dict)
        self._at_work: dict[int, list[str]] = {}
        self._deaths: Counter[str] = Counter()
        self._cleared: set[str] = set()

    def give(self, place: int, hand: Hand) -> None:
        """From the search: what the place has in hand from now on."""
        self._hands[place] = hand

    def take(self, place: int, is_new: bool) -> Turn:
        """From a host: what to do next; `is_new` from a process that has just begun."""
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

    def _is_suspect(self, trial: str) -> bool:
        return self._deaths[trial] > 1 or (self._deaths[trial] == 1 and trial not in self._cleared)
