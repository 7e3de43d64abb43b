"""The tally that both displays read agrees with the ledger that the results are read from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched_trials import trial

from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord


def test_the_training_share_is_of_the_places_time_since_the_first_step() -> None:
    tally = Tally("val/accuracy")
    ledger = Ledger(watchers=[tally])
    assert tally.training_share(2, now_s=1000.0) is None
    ledger.start(trial(0))
    for epoch in (1, 2):
        times = {"time/began_s": 1000.0 + epoch, "time/training_s": 3.0}
        ledger.report("0000", {"epoch": epoch, "val/accuracy": 0.5, **times})
    assert tally.training_share(2, now_s=1005.0) == pytest.approx(6 / (2 * 4))


events = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.floats(0, 1), st.sampled_from([*(s for s in Status if s is not Status.RUNNING)])),
    ),
    max_size=60,
)


def ended_first(ledger: Ledger) -> list[TrialRecord]:
    return sorted(ledger.ranked(), key=lambda record: record.status is Status.RUNNING)


@given(events, st.sampled_from(["val/accuracy", "val/loss"]))
def test_the_tally_agrees_with_the_ledger(events: list[tuple[int, float | Status]], objective: str) -> None:
    tally = Tally(objective)
    ledger = Ledger(objective, [tally])
    for number, event in events:
        record = ledger.records.get(f"{number:04d}")
        if record is not None and record.status is not Status.RUNNING:
            continue
        if record is None:
            record = trial(number)
            ledger.start(record)
        if isinstance(event, Status):
            ledger.end(record, event)
        else:
            epoch = record.epochs + 1
            ledger.report(record.trial_id, {"epoch": epoch, objective: event}, is_rung=epoch == 3)
        best = next(iter(ended_first(ledger)), None)
        assert tally.best == (best.last[objective] if best else None)
        assert {status: tally.counts[status] for status in Status} == {s: ledger.count(s) for s in Status}
    assert tally.rungs[3] == sum(record.rung == 3 for record in ledger.records.values())
    ranked = [record.last[objective] for record in ended_first(ledger)]
    assert [record.last[objective] for record in tally.leaders(99)] == ranked
