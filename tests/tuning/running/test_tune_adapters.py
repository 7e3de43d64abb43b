"""What the conductor hears from Tune, without a Ray: nodes that take no files, and deaths between epochs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conducted import SPACE, FakeLimits, begin, report

from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.running.lane_adapters import Hands, LaneScheduler, LaneSearcher
from distill_tune.tuning.running.lane_host import LANES
from distill_tune.tuning.running.tune_adapters import ConductedScheduler, ConductedSearcher, Kept
from distill_tune.tuning.schedulers.none import EverybodyPasses
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status
from distill_tune.tuning.workers.trial import NO_ROOM, REPORTS

WHY = "the prepared data cannot be brought to node 10.0.0.7; mend its disk, and --resume."


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    study, limits = Study(tmp_path / "study.journal", "s", SPACE), FakeLimits(None)
    return Conductor(study, EverybodyPasses([], 9), Ledger(), Budget(9), limits, 4)  # type: ignore[arg-type]


def trial_of_tune(config: dict[str, Any], failures: int = 0) -> Any:
    return SimpleNamespace(trial_id="t", config=config, run_metadata=SimpleNamespace(num_failures=failures))


def test_a_node_that_takes_no_files_ends_the_search_and_fails_no_trial(conductor: Conductor) -> None:
    kept = Kept()
    searcher, scheduler = ConductedSearcher(conductor, kept), ConductedScheduler(conductor, kept)
    config, trained = searcher.suggest("t"), begin(conductor)
    assert isinstance(config, dict)
    conductor.take_reports(trained, report(1, 0.5))
    result = {REPORTS: [], NO_ROOM: WHY}
    assert scheduler.on_trial_result(None, trial_of_tune(config), result) == "STOP"
    searcher.on_trial_complete("t", result)
    assert not conductor.take_reports(trained, report(2, 0.6)), "the other ends after its epoch"
    conductor.ended(trained, None)
    assert (conductor.budget.ended_by, conductor.why) == (Reason.STORAGE, WHY.rstrip("."))
    records = conductor.ledger.records.values()
    assert [(r.status, r.epochs, r.goes_on_later) for r in records] == [
        (Status.INTERRUPTED, 0, True),
        (Status.INTERRUPTED, 2, True),
    ]


def test_a_node_that_takes_no_files_fails_no_lane_either(conductor: Conductor) -> None:
    kept, hands = Kept(), Hands(conductor, 2, lambda place, hand: None)
    searcher, scheduler = LaneSearcher(conductor, hands, kept), LaneScheduler(conductor, hands, kept)
    config = searcher.suggest("t")
    assert isinstance(config, dict)
    assert scheduler.on_trial_result(None, trial_of_tune(config), {LANES: [], NO_ROOM: WHY}) == "STOP"
    assert (conductor.budget.ended_by, conductor.why) == (Reason.STORAGE, WHY.rstrip("."))
    assert [(r.status, r.goes_on_later) for r in conductor.ledger.records.values()] == [(Status.INTERRUPTED, True)] * 2


def test_deaths_before_a_new_epoch_are_forgotten_and_those_before_a_repeated_one_count(conductor: Conductor) -> None:
    """Each of three lost nodes would otherwise count against a long trial."""
    scheduler, name = ConductedScheduler(conductor, Kept()), begin(conductor)

    def failures_after(*epochs: int) -> int:
        trial = trial_of_tune({"trial": name}, failures=2)
        told = [each for epoch in epochs for each in report(epoch, 0.5)]
        assert scheduler.on_trial_result(None, trial, {REPORTS: told}) == "CONTINUE"
        return int(trial.run_metadata.num_failures)

    assert failures_after(1, 2) == 0
    assert failures_after() == failures_after(1) == failures_after(1, 2) == 2
    assert failures_after(2, 3) == 0
