"""News of several lanes in one result: what each means does not depend on the order in which they are told."""

from pathlib import Path

from conducted import SPACE, FakeLimits, report

from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.running.lane_adapters import Hands
from distill_tune.tuning.schedulers.asha import Asha
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import News, Status


def test_failures_do_not_end_a_search_in_which_a_lane_of_the_same_result_has_trained(tmp_path: Path) -> None:
    study, judge = Study(tmp_path / "study.journal", "s", SPACE), Asha().judge(SPACE.config.search)
    conductor = Conductor(study, judge, Ledger(), Budget(100), FakeLimits(None), concurrency=6)  # type: ignore[arg-type]
    hands = Hands(conductor, 6, lambda place, hand: None)
    hands.fill(0)
    *failing, training = conductor.ledger.records
    failures = [News(trial, [], "ValueError: often") for trial in failing]
    assert hands.told(0, [*failures, News(training, report(1, 0.9))])
    assert (conductor.ledger.count(Status.FAILED), conductor.budget.ended_by) == (5, None)
