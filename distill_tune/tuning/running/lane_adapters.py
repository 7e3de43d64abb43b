"""The conductor behind Tune's searcher and scheduler if places have lanes: Tune's trial is a place, ours a lane."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.running.lane_desk import Hand
from distill_tune.tuning.running.lane_host import LANES
from distill_tune.tuning.running.tune_adapters import ConductedScheduler, ConductedSearcher, Kept
from distill_tune.tuning.state.records import News
from distill_tune.tuning.workers.trial import DIED


class Hands:
    """The trials that each place has in hand, proposed and ended by the conductor."""

    def __init__(self, conductor: Conductor, lanes: int, give: Callable[[int, Hand], None]):
        """`give` puts a hand on the desk, and returns once it is there."""
        self._conductor, self._lanes, self._give = conductor, lanes, give
        self._hands: defaultdict[int, Hand] = defaultdict(dict)

    def fill(self, place: int) -> bool:
        """Propose trials for the place's free lanes; returns whether it has anything in hand."""
        hand = self._hands[place]
        while len(hand) < self._lanes and not self._conductor.is_over:
            proposal = self._conductor.propose()
            if proposal is None:
                break
            hand[proposal.trial_id] = json.dumps(proposal.values)
        if hand:
            self._give(place, dict(hand))
        return bool(hand)

    def told(self, place: int, lanes: Sequence[News]) -> bool:
        """Process news of a place's lanes, end and refill lanes; returns whether there is anything left to do.

        Failures come last: they end a search only if no trial has finished an epoch, and another lane may just have.
        """
        hand = self._hands[place]
        for trial, reports, failure in sorted(lanes, key=lambda news: news.failure is not None):
            if trial in hand and not self._take_reports(trial, reports, failure):
                del hand[trial]
                self._conductor.ended(trial, failure)
        if self._conductor.budget.ended_by is not None:
            self.end(place, None)
        return self.fill(place)

    def _take_reports(self, trial: str, reports: Sequence[dict[str, float]], failure: str | None) -> bool:
        passed = self._conductor.take_reports(trial, reports)
        record = self._conductor.ledger.records[trial]
        return passed and failure is None and record.epochs < self._conductor.judge.max_epochs

    def end(self, place: int, failure: str | None) -> None:
        """End all trials in hand, as the place is given up or the search is over."""
        hand = self._hands[place]
        for trial in list(hand):
            del hand[trial]
            self._conductor.ended(trial, failure)


class LaneSearcher(ConductedSearcher):
    """The searcher that Tune asks for places."""

    def __init__(self, conductor: Conductor, hands: Hands, kept: Kept):
        super().__init__(conductor, kept)
        self._hands = hands
        self._places: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """A place with filled lanes; None while there is nothing for it, FINISHED when the search is over."""
        self._kept.raise_it()
        if self._conductor.is_over:
            return Searcher.FINISHED
        place = len(self._places)
        if not self._hands.fill(place):
            return None
        self._places[trial_id] = place
        return {"place": place}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Handle the end of a place; if its process died too often, its lanes have failed."""
        place = self._places.get(trial_id)
        if place is not None and error:
            self._kept.decided(lambda: self._hands.end(place, DIED))


class LaneScheduler(ConductedScheduler):
    """The scheduler that Tune asks, after each step of a place, whether it goes on."""

    def __init__(self, conductor: Conductor, hands: Hands, kept: Kept):
        super().__init__(conductor, kept)
        self._hands = hands

    def _take_step(self, trial: TuneTrial, result: dict[str, Any]) -> bool:
        """Tell the conductor of each lane; a place that makes progress has its failure count reset."""
        trial.run_metadata.num_failures = 0
        return self._hands.told(trial.config["place"], result[LANES])
