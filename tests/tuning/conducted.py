"""A search conducted by hand: trials that begin, their reports, and the study's journal."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from distill_tune.config import Config
from distill_tune.config.space import Space
from distill_tune.students import Cost
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.proposals.study import Proposal

SPACE = Space.parse(
    {
        "data": {"source": "digits"},
        "student": {
            "family": ["mlp", "convnet"],
            "mlp": {"widths": {"choice": [[8], [16]]}},
            "convnet": {"width": {"int": [4, 8]}},
        },
        "loss": {"kind": ["soft_targets", "labels"], "temperature": {"log": [1.0, 10.0]}},
        "optim": {"learning_rate": {"log": [1e-4, 1e-1]}},
        "search": {"max_epochs": 9, "seed": 3},
    }
)


class FakeLimits:
    """Limits that refuse all students of one family."""

    def __init__(self, refused: str | None):
        self.refused = refused

    def excess(self, config: Config) -> Excess:
        over = Excess(0.5, "max_parameters", "over max_parameters")
        return over if config.student.family == self.refused else NO_EXCESS

    def cost(self, config: Config) -> Cost:
        return Cost(100, 90)


def journal(tmp_path: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(
        study_name="s", storage=JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    ).trials


def begin(conductor: Conductor) -> str:
    proposal = conductor.propose()
    assert isinstance(proposal, Proposal)
    return proposal.trial_id


def report(epoch: int, accuracy: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "val/accuracy": accuracy, "time/training_s": 0.1}]
