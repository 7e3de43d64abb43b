"""How many candidates a confirmation has time for, at the paces that they had in the searches."""

from types import SimpleNamespace
from typing import Any

import pytest
from fitted_spaces import space_with
from small import VALUES

from distill_tune.tuning.confirm_phase import ConfirmPhase
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.interrupts import Interrupt
from distill_tune.tuning.planning.time_budget import Times
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord


def searched(*epochs_s: float) -> Any:
    """A search whose trials, the best first, took this long for an epoch."""
    ledger = Ledger()
    for number, epoch_s in enumerate(epochs_s):
        record = TrialRecord(number, f"{number:04d}", {**VALUES, "optim.learning_rate": 0.01 + number / 1000})
        ledger.start(record)
        report = {"epoch": 1, "val/accuracy": 0.9 - number / 100, "time/training_s": epoch_s}
        ledger.report(record.trial_id, report)
        ledger.end(record, Status.STOPPED)
    return SimpleNamespace(ledger=ledger, used_s=0.0, ended_by=Reason.TRIALS)


@pytest.mark.parametrize(
    ("epochs_s", "beside_s", "top"),
    [
        ((1, 1, 1), None, 3),
        ((1, 1, 5), None, 2),
        ((1, 1, 1), (1, 1, 1), 3),
        ((1, 1, 1), (1, 1, 5), 2),
        ((1, 1, 1), (1, 1, 1, 99), 3),
        ((1, 1, 1), (), 3),
    ],
)
def test_candidates_slower_than_the_best_are_left_out_if_time_is_short(
    preparation: Any, epochs_s: tuple[float, ...], beside_s: tuple[float, ...] | None, top: int
) -> None:
    searches = 1 if beside_s is None else 2
    space = space_with(confirm={"top": 3, "seeds": 2, "baseline_search": searches == 2})
    context: Any = SimpleNamespace(claim=None, fitted=SimpleNamespace(space=space), preparation=preparation, room=1)
    trained_s = 9 * (12 if searches == 1 else 20)  # 9 epochs each
    main, reporter = searched(*epochs_s), SimpleNamespace()
    phase = ConfirmPhase(context, Times(trained_s + 9, None), main, reporter, Interrupt())  # type: ignore[arg-type]
    plan = phase._plan(main.ledger.ranked(), None if beside_s is None else searched(*beside_s))
    assert (plan.top, plan.seeds) == (top, 2)
