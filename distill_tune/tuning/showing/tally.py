"""The current state of a search, updated in constant time per report: counts, the best so far, rungs, speed.

The ledger ranks all its records when asked which trial leads; a display asks four times a second and a search may have
ten thousand trials, so what is displayed while it runs is counted here as it happens. The final outputs
(trials.parquet, summary.json) are still read from the ledger.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence

from distill_tune.tuning.dominance import Scores, dominates
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Status, TrialRecord, merit_of, scores_of, sign_of

ENDED = tuple(status for status in Status if status is not Status.RUNNING)


class Tally(Watcher):
    """Running counts over all trials that it is notified of."""

    def __init__(self, objective: str, clock: Callable[[], float] = time.monotonic, further: Sequence[str] = ()):
        """`further` objectives after the first make for a front."""
        self.objective = objective
        self.objectives = (objective, *further)
        self.sign = sign_of(objective)
        self.counts: Counter[Status] = Counter()
        self.rungs: Counter[int] = Counter()
        """Trials that have reached each rung, by its epochs."""
        self.incumbent: TrialRecord | None = None
        self.front: dict[str, Scores] = {}
        """With several objectives, the completed trials that no other one dominates."""
        self._clock = clock
        self._records: dict[str, TrialRecord] = {}
        self._statuses: dict[str, Status] = {}
        self._num_rungs: Counter[str] = Counter()
        self._merits: dict[str, tuple[bool, tuple[float, float]]] = {}
        """For each trial that can lead: whether it has ended, and its ranking key after its last epoch.

        A trial in training may still get worse, and is judged after fewer epochs, so it leads only until some trial has
        ended: the best that is displayed never gets worse. For the same reason a trial that continues after a pause
        keeps the value from its pause until it pauses again or ends; if it is worse then, that is shown.
        """
        self._have_paused: set[str] = set()
        self._training_s, self._first_step_s = 0.0, math.inf
        self._began_s: float | None = None
        self._ended_here = 0
        """Trials that have ended or paused for the first time in this session."""

    @property
    def ended(self) -> int:
        """The number of trials that have ended or paused, including infeasible ones."""
        return sum(self.counts[status] for status in ENDED)

    @property
    def trained(self) -> int:
        """The number of trials that have ended or paused, without infeasible ones, which were never trained."""
        return self.ended - self.counts[Status.INFEASIBLE]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first trial was counted."""
        return 0.0 if self._began_s is None else self._clock() - self._began_s

    @property
    def trials_per_hour(self) -> float:
        """Trained trials per hour since the first began; 0 before one has ended or paused."""
        return 3600 * self._ended_here / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def training_share(self, places: int, now_s: float) -> float | None:
        """The share of the places' time since the first step that was spent training; None before that step.

        It covers this session alone, as the workers measured it; `now_s` is in seconds since 1970.
        """
        spent_s = places * (now_s - self._first_step_s)
        return self._training_s / spent_s if spent_s > 0 else None

    @property
    def best(self) -> float | None:
        """The objective of the incumbent."""
        return None if self.incumbent is None else self.value_of(self.incumbent)

    def value_of(self, record: TrialRecord) -> float | None:
        """The objective after a trial's last epoch; None if it cannot lead: no report, failed, not finite."""
        return self.sign * self._merits[record.trial_id][1][0] if record.trial_id in self._merits else None

    def better(self, one: float, other: float) -> float:
        """The better of two values of the objective."""
        return self.sign * max(self.sign * one, self.sign * other)

    def leaders(self, count: int) -> list[TrialRecord]:
        """The best `count` trials, best first, ranked as by the ledger; those that have ended come first."""
        ranked = sorted(self._merits, key=self._merits.__getitem__, reverse=True)
        return [self._records[name] for name in ranked[:count]]

    def trial_known(self, record: TrialRecord) -> None:
        """Count it as it stands, but not towards the speed of this session."""
        if record.paused_s is not None:
            self._have_paused.add(record.trial_id)
        self._enter(record)

    def trial_started(self, record: TrialRecord) -> None:
        """Count it as running."""
        self._enter(record)

    def trial_reported(self, record: TrialRecord) -> None:
        """Record its value, and a rung that it has reached."""
        self._note_value(record)
        self._note_rungs(record)
        self._training_s += record.last.get("time/training_s", 0.0)
        self._first_step_s = min(self._first_step_s, record.last.get("time/began_s", math.inf))

    def trial_paused(self, record: TrialRecord) -> None:
        """Count it among those that have ended, since most never continue."""
        self._ended_here += record.trial_id not in self._have_paused
        self._have_paused.add(record.trial_id)
        self._enter(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Count how it ended; a failed trial never leads."""
        self._ended_here += record.trial_id not in self._have_paused and record.status is not Status.INFEASIBLE
        self._enter(record)

    def _note_front(self, record: TrialRecord) -> None:
        if len(self.objectives) == 1 or record.status is not Status.COMPLETED:
            return
        scores = scores_of(record, record.last, self.objectives)
        if not any(dominates(other, scores) for other in self.front.values()):
            kept = {name: other for name, other in self.front.items() if not dominates(scores, other)}
            self.front = {**kept, record.trial_id: scores}

    def _enter(self, record: TrialRecord) -> None:
        if self._began_s is None:
            self._began_s = self._clock()
        if (before := self._statuses.get(record.trial_id)) is not None:
            self.counts[before] -= 1
        self.counts[record.status] += 1
        self._statuses[record.trial_id], self._records[record.trial_id] = record.status, record
        self._note_value(record)
        self._note_rungs(record)
        self._note_front(record)

    def _note_rungs(self, record: TrialRecord) -> None:
        self.rungs.update(record.rungs[self._num_rungs[record.trial_id] :])
        self._num_rungs[record.trial_id] = len(record.rungs)

    def _note_value(self, record: TrialRecord) -> None:
        if record.status is Status.RUNNING and record.trial_id in self._have_paused:
            return
        able = math.isfinite(record.last.get(self.objective, math.nan)) and record.status is not Status.FAILED
        has_ended = record.status is not Status.RUNNING
        before = self._merits.pop(record.trial_id, None)
        now = (has_ended, merit_of(record.last, self.objective)) if able else None
        if now is not None:
            self._merits[record.trial_id] = now
        if self.incumbent is not None and record.trial_id == self.incumbent.trial_id:
            is_worse = now is None or before is None or now < before
            self.incumbent = next(iter(self.leaders(1)), None) if is_worse else record
        elif now is not None and (self.incumbent is None or now > self._merits[self.incumbent.trial_id]):
            self.incumbent = record
