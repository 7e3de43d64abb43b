"""Progress display: a calm live panel in an interactive terminal, and plain lines anywhere else.

A thread of rich draws the panel four times a second, whatever the trials do. Plain lines are for logs: one when a trial
ends or takes the lead, at most about one per second, and one that sums up what happened in between.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from distill_tune.tuning.showing.display import RungView, named, panel
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.showing.wording import metric, rate, settings
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Status, TrialRecord

REFRESHES_PER_S = 4
LINE_EVERY_S = 1.0


class ProgressWatcher(Watcher):
    """Shows the progress of all trials; `begin` starts the next phase, such as the confirmation."""

    def __init__(
        self,
        console: Console,
        objective: str,
        total: int,
        time_left_s: Callable[[], float | None] = lambda: None,
        rungs: Callable[[], Sequence[RungView]] = lambda: (),
        title: str = "Searching",
        clock: Callable[[], float] = time.monotonic,
        further: Sequence[str] = (),
    ):
        """`time_left_s`, the rest of the time budget, is called from a thread of rich; `rungs` is not.

        With `further` objectives the size of the front is shown until the next phase begins.
        """
        self._console, self._objective, self._clock, self._further = console, objective, clock, further
        self._time_left_s, self._rungs = time_left_s, rungs
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._seen_rungs, self._looked_s = list[RungView](), -math.inf
        self._begin(title, total, "tried")

    def begin(self, title: str, total: int) -> None:
        """Close the display and count from zero, without rungs or the search's time: `begin("Confirming", 15)`."""
        self.close()
        self._rungs, self._seen_rungs, self._further = (lambda: ()), [], ()
        self._time_left_s = lambda: None
        self._begin(title, total, "trained")  # not "tried": the same settings again, in fresh seeds

    def _begin(self, title: str, total: int, done: str) -> None:
        self._title, self._total = title, total
        self._tally = Tally(self._objective, clock=self._clock, further=self._further)
        self._lines = _Lines(self._console, self._tally, f"of {total} {done}", self._clock)

    def trial_known(self, record: TrialRecord) -> None:
        """Count the trial."""
        with self._lock:
            self._tally.trial_known(record)

    def trial_started(self, record: TrialRecord) -> None:
        """Count the trial; the first one starts the panel."""
        with self._lock:
            self._tally.trial_started(record)
        if self._console.is_interactive and self._live is None:
            self._live = Live(
                get_renderable=self._draw,
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=False,
            )
            self._live.start(refresh=True)

    def trial_reported(self, record: TrialRecord) -> None:
        """Count the report; a new leader gets a line."""
        with self._lock:
            self._tally.trial_reported(record)
            self._look_at_rungs()
        if not self._console.is_interactive:
            self._lines.reported(record)

    def trial_paused(self, record: TrialRecord) -> None:
        """Count the pause, which gets a line."""
        with self._lock:
            self._tally.trial_paused(record)
        self._say_how(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Count the end, which gets a line."""
        with self._lock:
            self._tally.trial_ended(record)
        self._say_how(record)

    def _say_how(self, record: TrialRecord) -> None:
        with self._lock:
            self._look_at_rungs()
        if not self._console.is_interactive:
            self._lines.ended(record)

    def close(self) -> None:
        """Leave the last panel in place, or print the lines that are waiting."""
        if self._live is not None:
            self._looked_s = -math.inf
            self._look_at_rungs()
            self._live.stop()
            self._live = None
        self._lines.flush()

    @property
    def left_s(self) -> float | None:
        """Seconds until the budget of trials or time is used up, whichever is first; None if unknown."""
        tally, by_time = self._tally, self._time_left_s()
        known = [] if by_time is None else [max(0.0, by_time)]
        if tally.trials_per_hour:
            known.append(3600 * max(0, self._total - tally.trained) / tally.trials_per_hour)
        return min(known, default=None)

    def _look_at_rungs(self) -> None:
        if self._live is not None and self._clock() - self._looked_s >= 1 / REFRESHES_PER_S:
            self._seen_rungs, self._looked_s = list(self._rungs()), self._clock()

    def _draw(self) -> RenderableType:
        with self._lock:
            return panel(self._title, self._tally, self._total, self.left_s, self._seen_rungs)


class _Lines:
    """Plain lines, at most about one per second."""

    def __init__(self, console: Console, tally: Tally, of_all: str, clock: Callable[[], float]):
        """`of_all` follows the number of trials that have ended: "of 64 tried"."""
        self._console, self._tally, self._of_all, self._clock = console, tally, of_all, clock
        self._said_s = -LINE_EVERY_S
        self._unsaid: dict[str, tuple[Status, str]] = {}
        """The latest event of each trial, which may have paused and then ended."""
        self._leader: TrialRecord | None = None

    def reported(self, record: TrialRecord) -> None:
        """Print the new leader, unless it was already printed, or else what is waiting."""
        leads = self._tally.incumbent is record is not self._leader and not record.is_confirmation
        if leads and self._may_speak and not self._unsaid:
            self._leader = record
            self._say(f"{named(record)} leads at epoch {record.epochs} with {settings(record.values)}")
        elif self._may_speak:
            self.flush()

    def ended(self, record: TrialRecord) -> None:
        """Print how it ended, now or together with others within a second."""
        self._unsaid[record.trial_id] = record.status, _ending(record, self._tally.objective)
        if self._may_speak:
            self.flush()

    def flush(self) -> None:
        """Print what is waiting."""
        if not self._unsaid:
            return
        sentence = next(iter(self._unsaid.values()))[1]
        if len(self._unsaid) > 1:
            counts = Counter(status for status, _ in self._unsaid.values())
            sentence = "since then " + ", ".join(f"{count} {status}" for status, count in counts.items())
        self._unsaid.clear()
        self._say(sentence)

    @property
    def _may_speak(self) -> bool:
        return self._clock() - self._said_s >= LINE_EVERY_S

    def _say(self, sentence: str) -> None:
        tally, self._said_s = self._tally, self._clock()
        best = "" if tally.incumbent is None else f" (best {metric(tally.best)} by {self._named(tally.incumbent)})"
        so_far = f"{tally.trained} {self._of_all}"
        so_far += f", front of {len(tally.front)}" if tally.front else ""
        speed = f", {rate(tally.trials_per_hour)}" if tally.trials_per_hour else ""
        self._console.print(f"{sentence}{best}, {so_far}{speed}", markup=False, highlight=False, soft_wrap=True)

    def _named(self, leader: TrialRecord) -> str:
        """The leader's name, with its settings the first time; one that may still get worse is said to be training."""
        trains = ", still training" if leader.status is Status.RUNNING else ""
        if leader is self._leader or leader.is_confirmation:
            return leader.trial_id + trains
        self._leader = leader
        return f"{leader.trial_id}{trains}: {settings(leader.values)}"


def _ending(record: TrialRecord, objective: str) -> str:
    """How a trial ended: "trial 0007 stopped at epoch 3: val/accuracy 0.9120"."""
    where = f" at epoch {record.epochs}" if record.epochs else ""
    if record.message and record.status in (Status.FAILED, Status.INFEASIBLE):
        return f"{named(record)} {record.status}{where}: {record.message.rstrip('.')}"
    value = f": {objective} {metric(record.last[objective])}" if objective in record.last else ""
    return f"{named(record)} {record.status}{where}{value}"
