"""The conductor behind Ray Tune's searcher, scheduler and stopper; all three only translate.

An exception from the conductor, such as from a custom sampler, would be swallowed by Tune when a trial ends, and the
search would wait for that trial forever; when a trial reports, it would become one of Tune's own errors. So it is kept
there, and raised where Tune lets it through.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from distill_tune.tuning.cluster.waiting_notice import WaitingNotice
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.state.records import Report, Status
from distill_tune.tuning.workers.trial import DIED, FAILURE, NO_ROOM, REPORTS, SAYS

PATIENCE_S = 20.0
"""Seconds without a running trial before the user is told what the search waits for."""


class Kept:
    """Keeps the first exception, after which nothing is decided; shared by all adapters of a search."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def decided(self, decide: Callable[[], object]) -> bool:
        """The decision; False if it raises, and from then on."""
        try:
            return self._error is None and bool(decide())
        except Exception as error:
            self._error = error
            return False

    def raise_it(self) -> None:
        """Raise the kept exception, if any."""
        if self._error is not None:
            raise self._error


class ConductedSearcher(Searcher):
    """The searcher that Tune asks for trials, and tells how they ended."""

    def __init__(self, conductor: Conductor, kept: Kept):
        super().__init__(metric=conductor.ledger.objective, mode="max" if conductor.ledger.sign > 0 else "min")
        self._conductor, self._kept = conductor, kept
        self._ours: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's configuration, and how many of its epochs are known.

        None while there is nothing to do, FINISHED when the search is over.
        """
        self._kept.raise_it()
        if self._conductor.is_over:
            return Searcher.FINISHED
        proposal = self._conductor.propose()
        if proposal is None:
            return None
        name = self._ours[trial_id] = proposal.trial_id
        known = self._conductor.ledger.records[name].epochs
        return {"trial": name, "values": json.dumps(proposal.values), "epochs": known}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Handle the end of a trial, however it came about."""
        ours = self._ours.pop(trial_id, None)
        if ours is not None:
            self._kept.decided(lambda: self._ended(ours, result or {}, error))

    def _ended(self, ours: str, result: dict[str, Any], error: bool) -> None:
        self._conductor.take_reports(ours, result.get(REPORTS, []))
        self._conductor.ended(ours, result.get(FAILURE) or (DIED if error else None))

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study's journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing; see `save`."""


class ConductedScheduler(FIFOScheduler):
    """The scheduler that Tune asks, after each step of a trial, whether it goes on."""

    def __init__(self, conductor: Conductor, kept: Kept):
        super().__init__()  # type: ignore[no-untyped-call]
        self._conductor, self.kept = conductor, kept
        self._controller: Any = None
        self._waiting = set[str]()
        """Trials whose actor is up but waits for its workers."""
        self._said = set[str]()

    @property
    def is_anybody_at_work(self) -> bool:
        """Whether any trial has its actor and all its workers up."""
        return bool(self._up() - self._waiting)

    @property
    def is_anybody_waiting(self) -> bool:
        """Whether any trial has its actor up but waits for its workers."""
        return bool(self._up() & self._waiting)

    def _up(self) -> set[str]:
        live = [] if self._controller is None else self._controller.get_live_trials()
        return {trial.trial_id for trial in live if trial.status == TuneTrial.RUNNING}

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """None: no trial is preferred, so Tune starts waiting trials in order, each with its own actor.

        Tune's own schedulers scan all trials for a waiting one at each step; Tune then gives it the first actor that
        another trial has left, and stops the one being started for it. With trials shorter than an actor's start, the
        second place thus never came up: 0.39 s per trial instead of 0.05 s on digits.
        """
        return None

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Remember the controller when Tune adds a trial."""
        self._controller = tune_controller
        super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Ask the conductor whether the trial goes on; without new reports there is nothing to judge."""
        self._say_once(result.get(SAYS, ""))
        if why := result.get(NO_ROOM):
            self.kept.decided(lambda: self._conductor.out_of_room(why))
        goes_on = self.kept.decided(lambda: self._take_step(trial, result))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def _say_once(self, line: str) -> None:
        if line and line not in self._said:
            self._said.add(line)
            self._conductor.ledger.say(line)

    def _take_step(self, trial: TuneTrial, result: dict[str, Any]) -> bool:
        """Pass a step's reports on, and note who waits for workers; returns whether the trial goes on."""
        self._waiting.discard(trial.trial_id)
        if reports := result.get(REPORTS, []):
            return self._take_reports(trial, reports)
        if not result.get(SAYS):  # else it has its place, and the user is told what it waits for
            self._waiting.add(trial.trial_id)
        return self._conductor.budget.ended_by is None

    def _take_reports(self, trial: TuneTrial, reports: list[Report]) -> bool:
        """Tell the conductor; after a new epoch earlier deaths no longer count, which lost nodes may have caused."""
        name = trial.config["trial"]
        record = self._conductor.ledger.records[name]
        before, goes_on = record.epochs, self._conductor.take_reports(name, reports)
        if record.epochs > before:
            trial.run_metadata.num_failures = 0
        return goes_on


class Waiting(Stopper):
    """Stops everything once the budget has ended and no trial is running; Tune asks it ten times a second.

    A running trial is ended by `ConductedScheduler`, after its epoch. One that waits for a place on a busy cluster
    would never be reached by that; and the user is told what the search waits for.
    """

    def __init__(self, conductor: Conductor, scheduler: ConductedScheduler, say: Callable[[str], None]):
        self._conductor, self._scheduler = conductor, scheduler
        self._notice = WaitingNotice(PATIENCE_S, say, "waiting")

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """False: single trials are not stopped here."""
        return False

    def stop_all(self) -> bool:
        """Whether the search is over, also for trials that have not begun."""
        is_at_work = self._scheduler.is_anybody_at_work
        self._notice.look(is_at_work or not self._conductor.ledger.count(Status.RUNNING))
        return self._conductor.budget.ended_by is not None and not is_at_work
