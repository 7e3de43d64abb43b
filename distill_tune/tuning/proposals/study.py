"""The Optuna study: it proposes trials, and is told how each of them ended.

A trial over a limit is told as infeasible without being trained, with a constraint that no other trial has: everything
trained is within the limits, and a constraint that is always met would only cost the samplers that model it. A trial
stopped at a rung is told as PRUNED with its values there; a failed one is FAIL; one that will be resumed stays RUNNING.
One that pauses at a rung stays RUNNING too, with its values so far; samplers see it as PRUNED, since its values are
known and it is not running.

Several objectives make a study with several directions, whose `best_trials` are the search's front. There Optuna takes
values only from completed trials, neither reported nor told ones from others: values after few epochs would be compared
with those after many. So a stopped trial is PRUNED without values, and its values at the rungs are a user attribute,
which the samplers that learn read (`samplers/_shown.py`, `samplers/_forgetful.py`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from distill_tune.config import Config, Space, Values
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.proposals.storage import SearchStorage
from distill_tune.tuning.samplers import EXHAUSTED, RUNGS, Sampler
from distill_tune.tuning.state.records import Status, TrialRecord, sign_of

_LEARNED = "distill_tune:learned"
"""A user attribute of the study: how many of its first trials come from other searches."""
_STATES = {
    Status.COMPLETED: TrialState.COMPLETE,
    Status.STOPPED: TrialState.PRUNED,
    Status.INTERRUPTED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
    Status.INFEASIBLE: TrialState.PRUNED,
}


@dataclass(frozen=True)
class Proposal:
    """A trial that Optuna proposes."""

    number: int
    values: Values
    space: Space

    @property
    def trial_id(self) -> str:
        """The trial's name."""
        return f"{self.number:04d}"

    @cached_property
    def config(self) -> Config:
        """The run that it describes.

        Raises:
            ConfigError: its values, though each is allowed alone, break a rule together.
        """
        return self.space.at(self.values)


class Study:
    """One search's study, kept in a journal that opens with plain Optuna and optuna-dashboard."""

    def __init__(self, journal: Path, name: str, space: Space, keep_bytes: int = 0):
        """Create a study called `name` or, with `keep_bytes`, truncate the journal to these and load its only one."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._objectives: list[str] = [*space.config.search.objectives]
        self._sampler = Sampler.of(space.config.search)
        if keep_bytes:
            os.truncate(journal, keep_bytes)
        else:
            journal.unlink(missing_ok=True)
        self._storage = storage = SearchStorage(journal)
        self._study = optuna.load_study(study_name=None, storage=storage) if keep_bytes else self._made(name, storage)
        # An exhausted sampler stops the loop of `Study.optimize`; there is none here, and an attribute persists.
        self._study.stop = partial(self._study.set_user_attr, EXHAUSTED, True)  # type: ignore[method-assign]
        self._asked: dict[int, optuna.Trial] = {}
        self._next = len(self._study.get_trials(deepcopy=False))
        self._storage.find_paused(self._study)

    def _made(self, name: str, storage: JournalStorage) -> optuna.Study:
        signs = (sign_of(objective) for objective in self._objectives)
        directions = [StudyDirection.MAXIMIZE if sign > 0 else StudyDirection.MINIMIZE for sign in signs]
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
        if len(self._objectives) > 1:
            with _calm():
                study.set_metric_names(self._objectives)
        return study

    @property
    def tries_each_once(self) -> bool:
        """Whether its sampler tries each combination once and is then exhausted."""
        return self._sampler.tries_each_once

    @property
    def num_bytes(self) -> int:
        """Length of the journal; raises OSError if an entry could not be written."""
        return self._storage.journal.num_bytes

    @property
    def num_learned(self) -> int:
        """Number of trials learned from other searches."""
        return int(self._study.user_attrs.get(_LEARNED, 0))

    def ask(self, fixed: Values | None = None) -> Proposal:
        """The next proposal, within the limits or not; `fixed` values are used as they are.

        Raises:
            DistillTuneError: the sampler is exhausted.
        """
        if EXHAUSTED in self._study.user_attrs:
            raise DistillTuneError(f"search.sampler: {self._sampler.ending}.")
        with _calm():
            self._study.sampler = self._sampler.build(self._space.config.search.seed, self._next)
            self._storage.has_queue = bool(fixed)
            if fixed:
                self._study.enqueue_trial(self._space.as_optuna(fixed))
            trial = self._study.ask()
            values = self._space.suggest(trial)
            if self.tries_each_once:
                self._look_whether_any_is_left(trial)
        self._next = trial.number + 1
        self._asked[trial.number] = trial
        return Proposal(trial.number, values, self._space)

    def _look_whether_any_is_left(self, trial: optuna.Trial) -> None:
        """Let the sampler check for exhaustion now: Optuna does so when a trial ends, after other places have asked."""
        known = self._storage.get_trial(trial._trial_id)
        self._study.sampler.after_trial(self._study, known, TrialState.PRUNED, None)

    def take_up(self, record: TrialRecord) -> Proposal:
        """Resume a trial that was proposed earlier, has not ended, and is not running."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, record.number)
        sampler, self._study.sampler = self._study.sampler, RandomSampler()  # creating a Trial lets it scan all others
        self._asked[record.number] = optuna.trial.Trial(self._study, trial_id)
        self._study.sampler = sampler
        return Proposal(record.number, record.values, self._space)

    def learn(self, trials: list[FrozenTrial]) -> None:
        """Add the trials of other searches."""
        if trials:
            self._study.add_trials(trials)
            self._study.set_user_attr(_LEARNED, len(trials))
            self._next += len(trials)

    def note(self, record: TrialRecord) -> None:
        """Record a paused trial's values at the rungs."""
        trial = self._asked.pop(record.number, None)
        if trial is None:
            return
        self._report(trial, record, TrialState.PRUNED)
        known = self._storage.get_trial(trial._trial_id)
        self._storage.pause(known)
        with _calm():
            self._study.sampler.after_trial(self._study, known, TrialState.PRUNED, None)

    def tell(self, record: TrialRecord, status: Status, excess: float = 0.0) -> None:
        """Record how a trial ended; `excess` is the share by which an infeasible student exceeds the limits."""
        trial = self._asked.pop(record.number, None)
        if trial is None:
            return
        state = _STATES[status]
        told = self._report(trial, record, state, excess)
        with _calm():
            self._study.tell(trial, told["values"] if state is TrialState.COMPLETE else None, state=state)
        self._storage.end(record.number)

    def _report(
        self, trial: optuna.Trial, record: TrialRecord, state: TrialState, excess: float = 0.0
    ) -> dict[str, Any]:
        told = told_of(record, self._objectives, state)
        with _calm():
            if excess:
                trial.set_constraint("limits", excess)
            for epoch, value in told.get("intermediate_values", {}).items():
                trial.report(value, epoch)
            for name, value in told.get("user_attrs", {}).items():
                trial.set_user_attr(name, value)
        return told


def is_exhausted(journal: Path) -> bool:
    """Whether the sampler of the study in a journal has nothing left to propose."""
    return EXHAUSTED in optuna.load_study(study_name=None, storage=SearchStorage(journal)).user_attrs


def told_of(record: TrialRecord, objectives: Sequence[str], state: TrialState) -> dict[str, Any]:
    """What a study of these objectives is told about a trial, as arguments of `optuna.create_trial`."""
    if len(objectives) == 1:
        value = record.value_of(objectives[0], record.last)
        return {"values": [value], "intermediate_values": record.rung_values(objectives[0])}
    if state is TrialState.FAIL or not record.reports:
        return {}
    columns = [record.rung_values(objective) for objective in objectives]
    rungs = {epoch: [column[epoch] for column in columns] for epoch in columns[0]}
    values = [record.value_of(objective, record.last) for objective in objectives]
    return {"values": values if state is TrialState.COMPLETE else None, "user_attrs": {RUNGS: rungs}}


@contextmanager
def _calm() -> Iterator[None]:
    """Silence Optuna's warnings on experimental features, on samplers without constraints and on repeated reports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Constraints have been set")
        warnings.filterwarnings("ignore", "The (reported|constraint) value is ignored")
        yield
