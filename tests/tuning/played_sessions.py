"""Sessions of a search, played without Ray, and folders as a kill leaves them."""

import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill_tune.config import Config, Space
from distill_tune.students import Cost
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry, Logbook
from distill_tune.tuning.state.records import Report

TABLES: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {
        "family": ["mlp", "convnet"],
        "mlp": {"widths": {"choice": [[8], [16], [32]]}},
        "convnet": {"width": {"int": [4, 8]}},
    },
    "optim": {"learning_rate": {"log": [1e-4, 1e-1]}},
    "search": {"max_epochs": 9, "trials": 24, "seed": 3, "scheduler": "asha"},
}


@contextmanager
def releasing(logbook: Logbook) -> Iterator[None]:
    try:
        yield
    finally:
        logbook.release()


class TooWide:
    """Limits that the widest networks exceed."""

    def excess(self, config: Config) -> Excess:
        wide = config.student.family == "convnet" and config.student.chosen("family").width == 8
        return Excess(0.5, "max_parameters", "over max_parameters 100 (150)") if wide else NO_EXCESS

    def cost(self, config: Config) -> Cost:
        family = config.student.chosen("family")
        size = family.width if config.student.family == "convnet" else sum(family.widths)
        return Cost(10 * size, 9 * size)


def report_of(conductor: Conductor, trial_id: str, epoch: int) -> Report:
    """A report as a function of the trial's values and the epoch; every fifth trial diverges."""
    record = conductor.ledger.records[trial_id]
    rate = record.values["optim.learning_rate"]
    score = (1 - abs(rate - 0.01) * 8) * (1 - 0.5**epoch) + record.number * 1e-3
    if record.number % 5 == 4 and epoch > 1:
        score = float("nan")
    return {"epoch": epoch, "val/accuracy": score, "val/loss": 1 - score, "time/training_s": 0.5, "time/began_s": 0.0}


class Session:
    """A session of a search in a folder: one place, epoch by epoch."""

    def __init__(self, folder: Path, **search: Any):
        space = Space.parse({**TABLES, "search": TABLES["search"] | search})
        config = space.config.search
        self.logbook = Logbook(folder)
        history = History.of(folder)
        self.logbook.cut(history.logbook_bytes)
        self.logbook.knows(history.records)
        self.logbook.write(Entry.SESSION, command="")
        study = Study(folder / JOURNAL, "s", space, history.study_bytes)
        self.logbook.study_bytes = lambda: study.num_bytes
        judge = config.chosen("scheduler").judge(config)
        ledger = Ledger(config.objectives[0], [self.logbook], further=config.objectives[1:])
        limits: Any = TooWide()
        first_settings = deque([space.middle()] if config.start_with == "middle" else config.start_with)
        self.conductor = Conductor(study, judge, ledger, Budget(config.trials), limits, 1, first_settings)
        self.conductor.take_up(list(history.records.values()))

    def run(self) -> list[Any]:
        with releasing(self.logbook):
            while not self.conductor.is_over:
                proposal = self.conductor.propose()
                if proposal is not None:
                    self._train(proposal.trial_id)
            self.conductor.end_the_rest()
        return self.outcome

    def _train(self, trial_id: str) -> None:
        record = self.conductor.ledger.records[trial_id]
        for epoch in range(record.epochs + 1, self.conductor.judge.max_epochs + 1):
            if not self.conductor.take_reports(trial_id, [report_of(self.conductor, trial_id, epoch)]):
                break
        self.conductor.ended(trial_id, None)

    @property
    def outcome(self) -> list[Any]:
        records = self.conductor.ledger.records
        return [
            (name, records[name].values, str(records[name].status), records[name].epochs, records[name].rungs)
            for name in sorted(records)
        ]


def cut_copy(source: Path, target: Path, num_bytes: int) -> None:
    """Copy a folder as a kill leaves it when the logbook has `num_bytes`; the journal may be further ahead.

    The journal is created once the logbook has its first line.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    with (target / LOGBOOK).open("rb+") as file:
        file.truncate(num_bytes)
    if b"\n" not in (target / LOGBOOK).read_bytes():
        (target / JOURNAL).unlink()


def goes_on_after_a_cut(folder: Path, whole: list[Any], share: float, copy: Path, **search: Any) -> None:
    """Check that the search in `folder`, killed after a `share` of its logbook, still ends like `whole`."""
    cut_copy(folder, copy, round(share * (folder / LOGBOOK).stat().st_size))
    assert Session(copy, **search).run() == whole
