"""Trials that pause and resume: how study, ledger and budget treat them."""

from collections import deque
from pathlib import Path

import pytest
from optuna.trial import TrialState
from pausing import SPACE, Make, NoLimits, journal, making, run_a_leg

from distill_tune.config.space import Space
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.schedulers.promotion import Promotion
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return making(tmp_path)


def test_a_paused_trial_runs_on_for_optuna_with_the_values_it_has(make: Make, tmp_path: Path) -> None:
    conductor = make()
    assert run_a_leg(conductor, 0.5) == "0000"
    assert conductor.ledger.records["0000"].status is Status.PAUSED
    told = journal(tmp_path)[0]
    assert (told.state, told.intermediate_values) == (TrialState.RUNNING, {1: 0.5})


def test_samplers_see_a_paused_trial_as_a_pruned_one(make: Make) -> None:
    conductor = make()
    run_a_leg(conductor, 0.5)
    conductor.propose()
    seen = conductor.study._study.get_trials(deepcopy=False)
    assert [trial.state for trial in seen] == [TrialState.PRUNED, TrialState.RUNNING]
    assert seen[0].intermediate_values == {1: 0.5}


def test_the_best_of_three_is_taken_up_before_another_trial_begins(make: Make) -> None:
    conductor = make()
    accuracies = iter((0.7, 0.6, 0.5))
    names = [run_a_leg(conductor, next(accuracies)) for _ in range(3)]
    assert names == ["0000", "0001", "0002"]
    proposal = conductor.propose()
    assert proposal is not None
    assert (proposal.number, proposal.values) == (0, conductor.ledger.records["0000"].values)
    assert conductor.ledger.records["0000"].status is Status.RUNNING


def test_the_first_of_given_settings_trains_to_its_end_and_the_second_does_not(make: Make) -> None:
    conductor = make(first_settings=[{"optim.learning_rate": 1e-3}, {"optim.learning_rate": 1e-2}])
    names = [run_a_leg(conductor, 0.5) for _ in range(2)]
    assert names == ["0000", "0001"]
    assert [record.epochs for record in conductor.ledger.records.values()] == [9, 1]
    assert conductor.ledger.records["0000"].status is Status.COMPLETED


def test_the_first_of_each_student_family_trains_to_its_end(tmp_path: Path) -> None:
    student = {"family": ["mlp", "convnet"], "mlp": {"width": 8}}
    space = Space.parse({**SPACE.tables, "student": student})
    first_settings = deque({"student.family": each} for each in ("mlp", "convnet", "mlp"))
    study, judge = Study(tmp_path / "study.journal", "s", space), Promotion().judge(SPACE.config.search)
    conductor = Conductor(study, judge, Ledger(), Budget(9), NoLimits(), 2, first_settings)  # type: ignore[arg-type]
    for _ in range(3):
        run_a_leg(conductor, 0.5)
    assert [record.epochs for record in conductor.ledger.records.values()] == [9, 9, 1]


def test_a_search_that_begins_with_no_settings_lets_its_first_trial_pause(make: Make) -> None:
    conductor = make()
    run_a_leg(conductor, 0.5)
    assert conductor.ledger.records["0000"].status is Status.PAUSED


def test_a_trial_that_went_on_is_told_complete_with_all_its_rungs(make: Make, tmp_path: Path) -> None:
    conductor = make(trials=3)
    while not conductor.is_over:
        run_a_leg(conductor, 0.1 * (1 + conductor.ledger.count()))
    conductor.end_the_rest()
    told = journal(tmp_path)
    assert [trial.state for trial in told] == [TrialState.PRUNED, TrialState.PRUNED, TrialState.COMPLETE]
    assert set(told[2].intermediate_values) == {1, 3, 9}
    assert [set(trial.intermediate_values) for trial in told[:2]] == [{1}, {1}]
