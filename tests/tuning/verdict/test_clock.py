"""Where a search's time went, even if clocks are wrong."""

import pytest

from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict.clock import Clock, first_step_s


def ledger_of(began_s: float, heard_s: float, ended_s: float) -> Ledger:
    """A ledger of one trial with one epoch: its start by the node's clock, its report and end by the driver's."""
    report: Report = {"epoch": 1, "time/began_s": began_s, "time/training_s": 2.0}
    told = {"reports": [report], "heard_s": {1: heard_s}}
    record = TrialRecord(0, "0000", {}, status=Status.COMPLETED, ended_s=ended_s, **told)
    ledger = Ledger()
    ledger.records[record.trial_id] = record
    return ledger


@pytest.mark.parametrize(
    ("began_s", "start_s", "search_s"),
    [
        pytest.param(104.0, 4.0, 16.0, id="clocks agree"),
        pytest.param(400.0, 4.0, 16.0, id="the node's is ahead"),
        pytest.param(7.0, 4.0, 16.0, id="the node's is behind"),
    ],
)
def test_a_search_begins_after_its_preparation_and_before_its_first_epoch_is_heard_of(
    began_s: float, start_s: float, search_s: float
) -> None:
    clock = Clock()
    clock.searched(ledger_of(began_s, heard_s=106.0, ended_s=120.0), prepared_s=100.0)
    assert (clock.start_s, clock.search_s) == (start_s, search_s)


def test_epochs_of_an_earlier_session_do_not_begin_this_one() -> None:
    assert first_step_s(ledger_of(began_s=4.0, heard_s=6.0, ended_s=20.0), since_s=100.0) is None


def test_a_night_in_which_the_machine_was_suspended_is_no_time_of_the_search() -> None:
    """By the monotonic clock, which stood still meanwhile, the search took half a minute."""
    clock, night = Clock(), ledger_of(104.0, heard_s=106.0, ended_s=50_000.0)
    clock.searched(night, prepared_s=100.0, earlier_s=7.0, at_most_s=30.0)
    assert clock.search_s == 7 + 30
