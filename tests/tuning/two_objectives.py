"""Searches with two objectives, played without Ray."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from distill_tune.config import Config, Space
from distill_tune.students import Cost
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import JOURNAL, Logbook
from distill_tune.tuning.state.records import TrialRecord

TWO = ["val/accuracy", "parameters"]
TABLES: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {"family": "mlp", "mlp": {"widths": {"choice": [[4], [8], [16], [32], [64]]}}},
    "optim": {"batch_size": {"choice": [16, 32, 64, 128]}},
    "search": {"max_epochs": 9, "trials": 16, "seed": 3, "objectives": TWO},
}


@dataclass
class Counted:
    """A unit of width costs ten parameters and 1 µs; the widest is over the limit."""

    most: int = 320

    def excess(self, config: Config) -> Excess:
        return Excess(0.5, "max_parameters", "over it") if self.cost(config).parameters > self.most else NO_EXCESS

    def cost(self, config: Config) -> Cost:
        width = sum(config.student.chosen("family").widths)
        return Cost(10 * width, 9 * width)

    def latency_ms(self, config: Config) -> float:
        return self.cost(config).parameters / 1e4


def accuracy_of(record: TrialRecord, epoch: int) -> float:
    """Wider is better, and larger batches are worse; one combination diverges."""
    width, batch = record.values["student.mlp.widths"][0], record.values["optim.batch_size"]
    return float("nan") if (width, batch) == (16, 64) else (1 - 1 / width - batch / 300) * (1 - 0.5**epoch)


COUNTED = Counted()


def played(folder: Path, limits: Any = COUNTED, **search: Any) -> Conductor:
    """A whole search in one place."""
    space = Space.parse({**TABLES, "search": TABLES["search"] | search})
    config = space.config.search
    logbook = Logbook(folder)
    study = Study(folder / JOURNAL, "s", space)
    logbook.study_bytes = lambda: study.num_bytes
    ledger = Ledger(config.objectives[0], [logbook], further=config.objectives[1:])
    target = float("inf") if config.target is None else config.target
    budget = Budget(config.trials, target=target, patience=config.patience)
    conductor = Conductor(study, config.chosen("scheduler").judge(config), ledger, budget, limits, 1)
    while not conductor.is_over and (proposal := conductor.propose()) is not None:
        record = ledger.records[proposal.trial_id]
        for epoch in range(record.epochs + 1, config.max_epochs + 1):
            score = accuracy_of(record, epoch)
            report = {"epoch": epoch, "val/accuracy": score, "val/loss": 1 - score, "time/training_s": 0.1}
            if not conductor.take_reports(record.trial_id, [report]):
                break
        conductor.ended(record.trial_id, None)
    conductor.end_the_rest()
    logbook.release()
    return conductor


def reopened(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))))
