"""How searches with pausing trials finish, and which still wait then."""

from pathlib import Path

import pytest
from optuna.trial import TrialState
from pausing import SPACE, Make, NoLimits, journal, making, run_a_leg

from distill_tune.config.space import Space
from distill_tune.export.result_folder import write_search_toml
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.proposals.warm_start import trials_of_others
from distill_tune.tuning.schedulers.promotion import Promotion
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return making(tmp_path)


@pytest.mark.parametrize("trials", [1, 2, 3, 10])
def test_every_search_has_a_trial_that_came_to_its_end_and_none_that_still_waits(make: Make, trials: int) -> None:
    conductor = make(trials=trials)
    for _ in range(1000):
        if conductor.is_over:
            break
        run_a_leg(conductor, 0.01 * conductor.ledger.count())
    conductor.end_the_rest()
    ledger = conductor.ledger
    assert ledger.count() == trials
    assert ledger.count(Status.COMPLETED) >= 1
    assert ledger.count(Status.COMPLETED) + ledger.count(Status.STOPPED) == trials


def test_while_others_are_at_work_nobody_is_promoted_for_being_the_last(make: Make) -> None:
    conductor = make(trials=2)
    working = conductor.propose()
    assert working is not None
    run_a_leg(conductor, 0.5)
    assert not conductor.is_over
    assert conductor.propose() is None
    conductor.take_reports("0000", [{"epoch": 1, "val/accuracy": 0.4}])
    conductor.ended("0000", None)
    proposal = conductor.propose()
    assert proposal is not None
    assert proposal.number == 1


def test_a_user_who_interrupts_leaves_paused_trials_paused_and_a_budget_that_ends_stops_them(
    make: Make, tmp_path: Path
) -> None:
    conductor = make()
    run_a_leg(conductor, 0.5)
    conductor.budget.interrupt.requested = True
    conductor.end_the_rest()
    assert conductor.ledger.records["0000"].status is Status.PAUSED
    assert journal(tmp_path)[0].state is TrialState.RUNNING
    conductor = make()
    run_a_leg(conductor, 0.5)
    conductor.budget.end(Reason.TIME)
    conductor.end_the_rest()
    assert conductor.ledger.records["0000"].status is Status.STOPPED
    assert journal(tmp_path)[0].state is TrialState.PRUNED


def test_patience_counts_a_trial_once_however_often_it_pauses(make: Make) -> None:
    conductor = make(patience=6)
    run_a_leg(conductor, 0.9)
    legs = 0
    while not conductor.is_over:
        run_a_leg(conductor, 0.5)
        legs += 1
    assert conductor.budget.ended_by is Reason.PATIENCE
    assert len(conductor.ledger.records) == 6, "the first was better than nothing, and was counted when it paused"
    assert legs > 5


def test_patience_counts_by_when_trials_ended_and_not_by_their_numbers_when_a_search_is_taken_up_again(
    make: Make,
) -> None:
    def record(number: int, best: float, best_at_s: float, paused_s: float, status: Status) -> TrialRecord:
        epoch = 9 if status is Status.COMPLETED else 1
        times = {"ended_s": max(best_at_s, paused_s), "paused_s": paused_s, "heard_s": {epoch: best_at_s}}
        report = {"epoch": epoch, "val/accuracy": best, "time/began_s": 0.0}
        return TrialRecord(number, f"{number:04d}", {}, status=status, reports=[report], **times)  # type: ignore[arg-type]

    conductor = make(patience=3)
    early = record(0, 0.9, best_at_s=100.0, paused_s=10.0, status=Status.COMPLETED)
    before = [record(number, 0.5, 15.0, 20.0, Status.PAUSED) for number in range(1, 9)]
    after = [record(number, 0.5, 105.0, 110.0, Status.PAUSED) for number in (9, 10)]
    conductor.take_up([early, *before, *after])
    assert conductor.budget.ended_by is None, "two have ended since the best"
    make(patience=2).take_up([early, *before])
    conductor = make(patience=2)
    conductor.take_up([early, *before, *after])
    assert conductor.budget.ended_by is Reason.PATIENCE


def test_patience_counts_trials_that_failed_before_any_was_good_when_a_search_is_taken_up_again_too(make: Make) -> None:
    conductor = make(patience=2)
    conductor.take_up([TrialRecord(0, "0000", {}, status=Status.FAILED, ended_s=10.0)])
    assert conductor.budget.ended_by is None
    proposal = conductor.propose()
    assert proposal is not None
    conductor.ended(proposal.trial_id, "it failed as well")
    assert conductor.budget.ended_by is Reason.PATIENCE


def test_epochs_beyond_a_rung_that_refuses_are_not_entered(make: Make) -> None:
    conductor = make()
    assert conductor.propose() is not None
    ahead = [{"epoch": epoch, "val/accuracy": 0.5} for epoch in (1, 2, 3, 4)]  # a checkpoint ahead of the logbook
    assert not conductor.take_reports("0000", ahead)
    conductor.ended("0000", None)
    record = conductor.ledger.records["0000"]
    assert (record.epochs, record.status) == (1, Status.PAUSED)


def test_where_the_one_that_was_promoted_last_fails_the_next_goes_on(make: Make) -> None:
    conductor = make(trials=2)
    run_a_leg(conductor, 0.5)
    run_a_leg(conductor, 0.6)
    proposal = conductor.propose()
    assert proposal is not None
    assert proposal.number == 1
    conductor.ended("0001", "it diverged")
    while not conductor.is_over:
        run_a_leg(conductor, 0.5)
    assert conductor.ledger.records["0000"].status is Status.COMPLETED


@pytest.mark.parametrize("status", [Status.STOPPED, Status.INTERRUPTED])
def test_a_trial_that_ended_at_its_rung_keeps_no_place_from_those_of_an_extension(make: Make, status: Status) -> None:
    conductor = make()
    report = {"epoch": 1, "val/accuracy": 0.9, "time/training_s": 0.1}
    values = {"student.mlp.widths": [8], "optim.learning_rate": 0.01}
    ended = [TrialRecord(n, f"{n:04d}", values, status=status, reports=[report], rungs=[1]) for n in (97, 98, 99)]
    conductor.take_up(ended)
    for accuracy in (0.5, 0.4):
        run_a_leg(conductor, accuracy)
    assert conductor.ledger.records["0000"].epochs == 3, "one of four may go on, and nobody else can"
    assert conductor.ledger.records["0001"].epochs == 1


def test_a_grid_whose_trials_pause_tries_every_combination_once_and_ends(tmp_path: Path) -> None:
    search = {"max_epochs": 9, "scheduler": "promotion", "sampler": "grid"}
    optim = {"batch_size": {"choice": [32, 64, 128]}}
    student = {"family": "mlp", "mlp": {"widths": {"choice": [[8], [16]]}}}
    tables = {"data": {"source": "digits"}, "student": student, "optim": optim, "search": search}
    space = Space.parse(tables)
    study, judge = Study(tmp_path / "study.journal", "s", space), Promotion().judge(space.config.search)
    conductor = Conductor(study, judge, Ledger(), Budget(100), NoLimits(), 1)  # type: ignore[arg-type]
    while not conductor.is_over:
        run_a_leg(conductor, 0.01 * conductor.ledger.count())
    tried = [tuple(map(str, record.values.values())) for record in conductor.ledger.records.values()]
    assert len(tried) == len(set(tried)) == 6
    assert conductor.why_exhausted


def test_another_search_learns_from_trials_that_pause(make: Make, tmp_path: Path) -> None:
    conductor = make()
    run_a_leg(conductor, 0.5)
    conductor.propose()
    write_search_toml(tmp_path, SPACE, "command")
    (learned,) = trials_of_others([str(tmp_path)], SPACE)
    assert (learned.state, learned.intermediate_values) == (TrialState.PRUNED, {1: 0.5})


def test_the_best_that_people_see_does_not_fall_while_a_promoted_trial_is_at_work() -> None:
    tally = Tally("val/accuracy")
    ledger = Ledger(watchers=[tally])
    for number, accuracy in enumerate((0.8, 0.6)):
        record = TrialRecord(number, f"{number:04d}", {})
        ledger.start(record)
        ledger.report(record.trial_id, {"epoch": 1, "val/accuracy": accuracy}, is_rung=True)
        ledger.pause(record)
    assert (tally.best, tally.counts[Status.PAUSED]) == (0.8, 2)
    first = ledger.records["0000"]
    ledger.start(first)
    ledger.report("0000", {"epoch": 2, "val/accuracy": 0.3})
    assert (tally.best, tally.counts[Status.RUNNING]) == (0.8, 1)
    ledger.report("0000", {"epoch": 3, "val/accuracy": 0.9}, is_rung=True)
    ledger.pause(first)
    assert (tally.best, tally.ended) == (0.9, 2)


def test_a_trial_that_a_rung_has_refused_pauses_though_others_have_arrived_there_before_it_ends(tmp_path: Path) -> None:
    study, judge = Study(tmp_path / "study.journal", "s", SPACE), Promotion().judge(SPACE.config.search)
    conductor = Conductor(study, judge, Ledger(), Budget(9), NoLimits(), 3)  # type: ignore[arg-type]
    names = [proposal.trial_id for proposal in (conductor.propose() for _ in range(3)) if proposal is not None]
    for name, accuracy in zip(names, (0.5, 0.1, 0.2), strict=True):
        assert not conductor.take_reports(name, [{"epoch": 1, "val/accuracy": accuracy}])
    assert not conductor.take_reports(names[0], []), "without a new epoch nothing is decided anew"
    conductor.budget.interrupt.requested = True
    conductor.ended(names[0], None)
    assert conductor.ledger.records[names[0]].status is Status.PAUSED
    assert judge.next_to_promote(is_last=False) == names[0]


def test_a_promoted_trial_that_is_interrupted_before_its_next_epoch_goes_on_later(make: Make) -> None:
    conductor = make(trials=1)
    run_a_leg(conductor, 0.5)
    proposal = conductor.propose()
    assert proposal is not None
    assert conductor.take_reports(proposal.trial_id, []), "its worker died and was started again"
    conductor.budget.interrupt.requested = True
    conductor.end_the_rest()
    record = conductor.ledger.records[proposal.trial_id]
    assert (record.status, record.goes_on_later) == (Status.INTERRUPTED, True)
