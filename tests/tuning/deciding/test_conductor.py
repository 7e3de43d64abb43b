"""The search's decisions, played without Ray: what is proposed, what continues, how each trial ends."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from conducted import SPACE, FakeLimits, begin, journal, report
from optuna.trial import TrialState

from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import Excess
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.schedulers import Scheduler
from distill_tune.tuning.schedulers.asha import Asha
from distill_tune.tuning.schedulers.none import EverybodyPasses
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord

Make = Callable[..., Conductor]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def conductor(trials: int = 100, refused: str | None = None, concurrency: int = 2) -> Conductor:
        study = Study(tmp_path / "study.journal", "s", SPACE)
        limits = FakeLimits(refused)
        return Conductor(study, Asha().judge(SPACE.config.search), Ledger(), Budget(trials), limits, concurrency)  # type: ignore[arg-type]

    return conductor


@pytest.mark.parametrize("scheduler", SCHEDULERS.names)
def test_no_rung_holds_the_opener_of_a_family_back_and_it_is_measured_with_the_others(
    tmp_path: Path, scheduler: str
) -> None:
    search = SPACE.config.search.model_copy(update={"scheduler": scheduler})
    conductor = Conductor(
        Study(tmp_path / "study.journal", "s", SPACE),
        Scheduler.of(search).judge(search),
        Ledger(),
        Budget(100),
        FakeLimits(None),  # type: ignore[arg-type]
        concurrency=20,
        first_settings=deque([{"student.family": "mlp"}]),
    )
    opener = begin(conductor)
    for other in [begin(conductor) for _ in range(12)]:
        for epoch in (1, 2, 3):
            conductor.take_reports(other, report(epoch, 0.5))
    assert all(conductor.take_reports(opener, report(epoch, 0.1)) for epoch in (1, 2, 3))
    is_measured = any(rung.scores.get(opener) == 0.1 for rung in conductor.judge.rungs)
    assert is_measured is (scheduler != "none")
    assert not conductor.take_reports(opener, report(4, float("nan")))


def test_no_more_trials_run_than_there_are_places(make: Make) -> None:
    conductor = make(concurrency=2)
    first = begin(conductor)
    begin(conductor)
    assert conductor.propose() is None
    conductor.ended(first, "died")
    assert conductor.propose() is not None


def test_the_search_is_over_when_all_trials_have_been_proposed(make: Make) -> None:
    conductor = make(trials=2)
    assert not conductor.is_over
    begin(conductor), begin(conductor)
    assert conductor.is_over


def test_students_over_the_limit_are_told_infeasible_and_take_no_place_and_no_trial(make: Make, tmp_path: Path) -> None:
    conductor = make(trials=6, refused="convnet", concurrency=100)
    while not conductor.is_over:
        begin(conductor)
    ledger = conductor.ledger
    assert ledger.count(Status.RUNNING) == 6
    assert ledger.count(Status.INFEASIBLE) > 0
    refused = [t for t in journal(tmp_path) if t.state is TrialState.PRUNED]
    assert len(refused) == ledger.count(Status.INFEASIBLE)
    assert all(t.params["student.family"] == "convnet" and t.constraints == {"limits": 0.5} for t in refused)


def test_of_trials_that_are_equally_accurate_the_one_with_the_lower_loss_goes_on(make: Make) -> None:
    conductor = make(concurrency=6)
    losses = [0.9, 0.3, 0.7, 0.2]
    passed = [conductor.take_reports(begin(conductor), [report(1, 0.5)[0] | {"val/loss": loss}]) for loss in losses]
    assert passed == [True, True, False, True], "the first two have nothing to be measured against"


def test_limits_that_nobody_proposed_can_meet_are_said_and_not_searched_for_ever(make: Make) -> None:
    conductor = make()
    conductor.limits.excess = lambda config: Excess(1.0, "max_parameters", "over it")  # type: ignore[method-assign]
    assert conductor.propose() is None
    assert conductor.is_over
    assert conductor.why_exhausted.startswith("limits: none of 100 students")
    assert conductor.budget.ended_by is None, "trials at work go on"


def test_a_trial_that_a_rung_stops_is_told_pruned_with_its_rung_values(make: Make, tmp_path: Path) -> None:
    conductor = make(concurrency=10)
    trials = [begin(conductor) for _ in range(4)]
    for i, trial in enumerate(trials[:3]):
        assert conductor.take_reports(trial, report(1, 0.9 - i / 100)) is (i < 2)
    conductor.ended(trials[2], None)
    assert conductor.ledger.records[trials[2]].status is Status.STOPPED
    told = journal(tmp_path)[int(trials[2])]
    assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {1: pytest.approx(0.88)})


def test_a_trial_that_reaches_the_full_budget_is_told_complete_with_its_last_value(make: Make, tmp_path: Path) -> None:
    conductor = make()
    trial = begin(conductor)
    for epoch in range(1, 10):
        assert conductor.take_reports(trial, report(epoch, 0.5 + epoch / 100))
    conductor.ended(trial, None)
    told = journal(tmp_path)[int(trial)]
    assert (told.state, told.value) == (TrialState.COMPLETE, pytest.approx(0.59))
    assert set(told.intermediate_values) == {1, 3, 9}
    assert conductor.ledger.records[trial].status is Status.COMPLETED


@pytest.mark.parametrize("failure", ["TrainingError: the loss is nan", None])
def test_a_trial_that_fails_or_never_reported_is_told_fail(make: Make, tmp_path: Path, failure: str | None) -> None:
    conductor = make()
    trial = begin(conductor)
    conductor.ended(trial, failure)
    assert conductor.ledger.records[trial].status is Status.FAILED
    assert journal(tmp_path)[int(trial)].state is TrialState.FAIL


def test_a_metric_that_is_not_a_number_ends_the_trial_as_failed(make: Make) -> None:
    conductor = make()
    trial = begin(conductor)
    assert not conductor.take_reports(trial, report(2, float("nan")))
    conductor.ended(trial, None)
    assert conductor.ledger.records[trial].status is Status.FAILED
    assert conductor.ledger.incumbent is None


def test_when_the_budget_ends_running_trials_stop_after_their_epoch_and_count_as_interrupted(make: Make) -> None:
    conductor = make()
    trial = begin(conductor)
    assert conductor.take_reports(trial, report(1, 0.5))
    conductor.budget.interrupt.requested = True
    assert conductor.is_over
    assert not conductor.take_reports(trial, report(2, 0.6))
    conductor.ended(trial, None)
    assert conductor.ledger.records[trial].status is Status.INTERRUPTED
    assert conductor.ledger.records[trial].epochs == 2


def test_a_retried_trial_that_repeats_epochs_does_not_count_them_twice(make: Make) -> None:
    conductor = make()
    trial = begin(conductor)
    for epoch in (1, 2, 1, 2, 3):
        conductor.take_reports(trial, report(epoch, 0.5))
    assert [r["epoch"] for r in conductor.ledger.records[trial].reports] == [1, 2, 3]


def test_several_epochs_at_once_are_judged_like_one_after_another(make: Make) -> None:
    conductor = make(concurrency=10)
    trials = [begin(conductor) for _ in range(3)]
    assert conductor.take_reports(trials[0], [*report(1, 0.9), *report(2, 0.95), *report(3, 0.96)])
    assert conductor.ledger.records[trials[0]].rungs == [1, 3]
    assert conductor.take_reports(trials[1], report(1, 0.8))
    assert not conductor.take_reports(trials[2], report(1, 0.7))


def test_a_fault_that_every_trial_has_ends_the_search_after_a_few(make: Make) -> None:
    conductor = make()
    failed = 0
    while not conductor.is_over:
        conductor.ended(begin(conductor), "ValueError: always")
        failed += 1
    assert (failed, conductor.budget.ended_by) == (5, Reason.FAILURES)


@pytest.mark.parametrize("failure", [None, "ValueError: always"])
def test_the_first_cause_is_that_of_a_failed_trial(make: Make, failure: str | None) -> None:
    conductor = make(refused="convnet")
    while not conductor.is_over:
        trial = begin(conductor)
        conductor.take_reports(trial, report(1, float("nan")))
        conductor.ended(trial, failure)
    records = list(conductor.ledger.records.values())
    assert (records[0].status, conductor.budget.ended_by) == (Status.INFEASIBLE, Reason.FAILURES)
    said = failure or "an objective was not finite"
    assert {r.message for r in records if r.status is Status.FAILED} == {conductor.why} == {said}


def test_failures_beside_a_trial_that_trains_are_no_systematic_fault(make: Make) -> None:
    conductor = make(trials=12, concurrency=2)
    good = begin(conductor)
    conductor.take_reports(good, report(1, 0.9))
    while not conductor.is_over:
        conductor.ended(begin(conductor), "ValueError: often")
    assert conductor.budget.ended_by is None


def test_time_runs_from_the_start_of_the_first_trial_also_if_that_fails_before_an_epoch(make: Make) -> None:
    conductor = make()
    conductor.budget.time_s = 60.0
    conductor.budget._made_s = conductor.budget._made_monotonic_s = 0.0
    for started_ago_s in (50, 3600):  # what fails later changes nothing
        trial = begin(conductor)
        conductor.ledger.records[trial].started_s -= started_ago_s
        conductor.ended(trial, "ValueError: before its first epoch")
        assert conductor.budget.ended_by is None
    assert conductor.budget.used_s >= 50
    conductor.budget.time_s = 50.0
    assert conductor.budget.ended_by is Reason.TIME


def test_one_success_among_the_first_is_enough_to_go_on_past_failures(make: Make) -> None:
    conductor = make(trials=20)
    good = begin(conductor)
    for epoch in range(1, 10):
        conductor.take_reports(good, report(epoch, 0.9))
    conductor.ended(good, None)
    while not conductor.is_over:
        conductor.ended(begin(conductor), "ValueError: often")
    assert conductor.budget.ended_by is None


def test_the_same_seed_proposes_the_same_trials(tmp_path: Path) -> None:
    def values(name: str) -> list[dict[str, object]]:
        study = Study(tmp_path / name, "s", SPACE)
        return [study.ask().values for _ in range(12)]

    assert values("a") == values("b")


def test_epochs_of_before_are_judged_in_their_order_also_where_a_clock_was_put_back(tmp_path: Path) -> None:
    judged = list[tuple[str, int]]()

    class Noting(EverybodyPasses):
        def goes_on(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float = 0.0) -> bool:
            judged.append((trial_id, epochs))
            return True

    def stopped(name: str, *heard_s: float) -> TrialRecord:
        reports = [report(epoch, 0.5)[0] for epoch, _ in enumerate(heard_s, 1)]
        return TrialRecord(0, name, {}, status=Status.STOPPED, reports=reports, heard_s=dict(enumerate(heard_s, 1)))

    study = Study(tmp_path / "study.journal", "s", SPACE)
    conductor = Conductor(study, Noting([], 9), Ledger(), Budget(9), FakeLimits(None), 2)  # type: ignore[arg-type]
    conductor.take_up([stopped("a", 100, 300, 50), stopped("b", 200, 400)])
    assert judged == [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)]
