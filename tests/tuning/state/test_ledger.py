import pytest

from distill_tune.tuning.state.ledger import Ledger, Watcher
from distill_tune.tuning.state.records import Status, TrialRecord


def record(number: int) -> TrialRecord:
    return TrialRecord(number, f"{number:04d}", {"loss.temperature": 2.0})


def report(epoch: int, accuracy: float, loss: float = 1.0) -> dict[str, float]:
    return {"epoch": epoch, "val/accuracy": accuracy, "val/loss": loss, "time/training_s": 0.5}


class Witness(Watcher):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def trial_started(self, record: TrialRecord) -> None:
        self.seen.append(("started", record.trial_id))

    def trial_reported(self, record: TrialRecord) -> None:
        self.seen.append((f"reported {record.epochs}", record.trial_id))

    def trial_ended(self, record: TrialRecord) -> None:
        self.seen.append((str(record.status), record.trial_id))

    def close(self) -> None:
        self.seen.append(("closed", ""))


def test_watchers_hear_of_everything_in_order() -> None:
    witness = Witness()
    ledger = Ledger(watchers=[witness])
    first = record(0)
    ledger.start(first)
    ledger.report("0000", report(1, 0.5))
    ledger.end(first, Status.STOPPED)
    ledger.end(record(1), Status.INFEASIBLE)
    ledger.close()
    assert witness.seen == [
        ("started", "0000"),
        ("reported 1", "0000"),
        ("stopped", "0000"),
        ("infeasible", "0001"),
        ("closed", ""),
    ]


def test_counts_follow_every_change_of_status() -> None:
    ledger = Ledger()
    records = [record(i) for i in range(3)]
    for each in records:
        ledger.start(each)
    assert ledger.count(Status.RUNNING) == 3
    ledger.end(records[0], Status.FAILED, "diverged")
    ledger.end(records[1], Status.COMPLETED)
    ledger.end(record(9), Status.INFEASIBLE)
    assert [ledger.count(s) for s in (Status.RUNNING, Status.FAILED, Status.COMPLETED, Status.INFEASIBLE)] == [
        1,
        1,
        1,
        1,
    ]
    assert ledger.count() == len(ledger.records) == 4


@pytest.mark.parametrize(("objective", "best"), [("val/accuracy", "0001"), ("val/loss", "0000")])
def test_the_incumbent_is_the_best_by_its_last_epoch_in_the_objectives_direction(objective: str, best: str) -> None:
    ledger = Ledger(objective)
    for number, (accuracy, loss) in enumerate([(0.6, 0.1), (0.9, 0.3), (0.7, 0.2)]):
        ledger.start(record(number))
        ledger.report(f"{number:04d}", report(1, 0.99, 0.01))
        ledger.report(f"{number:04d}", report(2, accuracy, loss))
    assert ledger.incumbent is not None
    assert ledger.incumbent.trial_id == best


def test_a_failed_trial_never_leads_however_good_it_looked() -> None:
    ledger = Ledger()
    good, failed = record(0), record(1)
    for each, accuracy in ((good, 0.5), (failed, 0.9)):
        ledger.start(each)
        ledger.report(each.trial_id, report(1, accuracy))
    ledger.end(failed, Status.FAILED, "the loss is nan")
    assert ledger.ranked() == [good]


def test_a_record_knows_its_values_at_its_rungs_and_at_its_end() -> None:
    ledger = Ledger()
    ledger.start(record(0))
    for epoch in range(1, 6):
        ledger.report("0000", report(epoch, epoch / 10), is_rung=epoch in (1, 3))
    found = ledger.records["0000"]
    assert found.rung == 3
    assert found.rung_values("val/accuracy") == {1: 0.1, 3: 0.3, 5: 0.5}
    assert found.training_s == 2.5


class Full(Watcher):
    def trial_reported(self, record: TrialRecord) -> None:
        raise OSError(28, "No space left on device")


def test_a_watcher_that_cannot_write_is_given_up_with_a_warning_and_the_others_go_on() -> None:
    said: list[str] = []
    witness = Witness()
    ledger = Ledger(watchers=[Full(), witness], say=said.append)
    ledger.start(record(0))
    ledger.report("0000", report(1, 0.5))
    ledger.report("0000", report(2, 0.6))
    assert [event for event, _ in witness.seen] == ["started", "reported 1", "reported 2"]
    assert said == ["warning: Full is given up: OSError: [Errno 28] No space left on device"]


def test_the_search_does_not_go_on_without_a_watcher_that_is_essential() -> None:
    full = Full()
    full.is_essential = True
    ledger = Ledger(watchers=[full])
    ledger.start(record(0))
    with pytest.raises(OSError, match="No space left"):
        ledger.report("0000", report(1, 0.5))
