"""A search for TensorBoard to show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shown_trials import ENDS, TABLES, report, trial

from distill_tune.config.space import Space
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


@pytest.fixture
def space() -> Space:
    return Space.parse(TABLES)


@pytest.fixture
def ledger(space: Space, tmp_path: Path) -> Iterator[Ledger]:
    """The ledger of thirteen trials, open until a test, or its teardown, closes it."""
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    for number in range(12):
        record = trial(space, number)
        ledger.start(record)
        for epoch, accuracy in enumerate((0.3, 0.5 + number / 100, 0.4), 1):
            ledger.report(record.trial_id, report(epoch, accuracy), is_rung=epoch in (1, 3))
        if number < len(ENDS):
            ledger.end(record, ENDS[number], "loss is NaN" if ENDS[number] is Status.FAILED else "")
    ledger.end(trial(space, 12), Status.INFEASIBLE, "too many parameters")
    yield ledger
    ledger.close()
