"""Searches whose trials pause at rungs, played without training."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from distill_tune.config import Values
from distill_tune.config.space import Space
from distill_tune.students import Cost
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import NO_EXCESS
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.schedulers.promotion import Promotion
from distill_tune.tuning.state.ledger import Ledger

SPACE = Space.parse(
    {
        "data": {"source": "digits"},
        "student": {"family": "mlp", "mlp": {"widths": {"choice": [[8], [16]]}}},
        "optim": {"learning_rate": {"log": [1e-4, 1e-1]}},
        "search": {"max_epochs": 9, "seed": 3, "scheduler": "promotion"},
    }
)


class NoLimits:
    """No student is over a limit."""

    def excess(self, config: object) -> object:
        return NO_EXCESS

    def cost(self, config: object) -> Cost:
        return Cost(100, 90)


Make = Callable[..., Conductor]


def making(folder: Path) -> Make:
    """Makes conductors of a study in a folder."""

    def conductor(trials: int = 100, first_settings: Sequence[Values] = (), **budget: Any) -> Conductor:
        study = Study(folder / "study.journal", "s", SPACE)
        judge, limits = Promotion().judge(SPACE.config.search), NoLimits()
        ledger, purse = Ledger(), Budget(trials, **budget)
        return Conductor(study, judge, ledger, purse, limits, 2, deque(first_settings))  # type: ignore[arg-type]

    return conductor


def journal(tmp_path: Path) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    return optuna.load_study(study_name="s", storage=storage).trials


def run_a_leg(conductor: Conductor, accuracy: float) -> str | None:
    """Train the next proposal until it pauses or ends, with one accuracy at each epoch; return its name."""
    proposal = conductor.propose()
    if proposal is None:
        return None
    name = proposal.trial_id
    first = conductor.ledger.records[name].epochs + 1
    for epoch in range(first, 10):
        numbers = {"epoch": epoch, "val/accuracy": accuracy, "time/training_s": 0.1}
        if not conductor.take_reports(name, [numbers]):
            break
    conductor.ended(name, None)
    return name
