"""The Optuna study: it proposes trials that are known to be within the limits, and is told how each of them ended.

TPE: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011; multivariate: Falkner et al., "BOHB", 2018.
Trials that are still running repel the sampler (constant liar). A trial over a limit is told infeasible without being
trained; one that was stopped at a rung is told PRUNED with the values it was seen at; one that failed is FAIL.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import TrialState

from distill_tune.config import Config, Space, Values
from distill_tune.config.sections import SearchConfig
from distill_tune.errors import ConfigError, DistillTuneError
from distill_tune.tuning.ledger import Status, TrialRecord

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
    config: Config


class SearchJournal(BaseJournalBackend):
    """Optuna's journal file, written by one search alone: no lock, and no fsync an entry.

    An entry is in the kernel's hands when a call returns, so it outlives a killed process; waiting for the disk some
    fifteen times a trial costs more than a small trial's training.
    """

    def __init__(self, path: Path):
        self._path = path
        self._reader = JournalFileBackend(str(path))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number onward."""
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, in one write."""
        with self._path.open("ab") as file:
            file.write(b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs))


class Study:
    """One search's study, kept in a journal that opens with plain Optuna and optuna-dashboard."""

    def __init__(self, journal: Path, name: str, space: Space, maximize: bool):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._study = optuna.create_study(
            storage=JournalStorage(SearchJournal(journal)),
            study_name=name,
            sampler=make_sampler(space.config.search),
            direction="maximize" if maximize else "minimize",
        )
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self) -> Proposal:
        """The next proposal, within the limits or not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self._study.ask()
            values = self._space.suggest(trial)
        self._asked[trial.number] = trial
        return Proposal(trial.number, values, self._space.at(values))

    def tell(self, record: TrialRecord, objective: str, excess: float = 0.0) -> None:
        """How a trial ended; `excess` is by what share an infeasible student breaks the limits."""
        trial = self._asked.pop(record.number, None)
        if trial is None:
            return
        trial.set_constraint("limits", excess)
        for epoch, value in record.rung_values(objective).items():
            trial.report(value, epoch)
        state = _STATES[record.status]
        self._study.tell(trial, record.last[objective] if state is TrialState.COMPLETE else None, state=state)


def make_sampler(config: SearchConfig) -> optuna.samplers.BaseSampler:
    """The configured sampler, seeded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if config.sampler == "random":
            return optuna.samplers.RandomSampler(seed=config.seed)
        return optuna.samplers.TPESampler(seed=config.seed, multivariate=True, group=True, constant_liar=True)


def propose_within_limits(
    study: Study,
    excess_of: Callable[[Config], float],
    refuse: Callable[[Proposal, float, str], None],
    attempts: int = 200,
) -> Proposal:
    """Ask until a student is within the limits; what is not, or cannot be built, is refused and costs no training.

    Raises:
        DistillTuneError: none of `attempts` proposals in a row could be used; with the last reason.
    """
    for _ in range(attempts):
        proposal = study.ask()
        try:
            excess = excess_of(proposal.config)
        except ConfigError as error:  # this combination of a user's own network cannot be built; others can
            excess, why = 1.0, str(error)
        else:
            why = f"over the limits by {excess:.0%}"
        if excess <= 0:
            return proposal
        refuse(proposal, excess, why)
    raise DistillTuneError(
        f"limits: none of {attempts} students proposed in a row can be used, the last is {why}; loosen the limits, or "
        "widen the student's ranges."
    )
