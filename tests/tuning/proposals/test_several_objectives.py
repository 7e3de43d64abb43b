"""Searches with several objectives: what study and samplers are told, and what is kept of each trial."""

import json
from collections import deque
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from two_objectives import COUNTED, TABLES, TWO, Counted, played, reopened

from distill_tune.config import Config, Space
from distill_tune.registry import SAMPLERS, SCHEDULERS
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.deciding.proposing import Proposer
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.proposals.warm_start import trials_of_others
from distill_tune.tuning.samplers import RUNGS
from distill_tune.tuning.samplers._forgetful import Recent
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import JOURNAL
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.front import front_of, front_rows


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Conductor]:
    folder = tmp_path_factory.mktemp("two")
    return folder, played(folder)


able = [name for name in SAMPLERS.names if SAMPLERS.get(name).several_objectives]


@pytest.mark.parametrize("sampler", able)
@pytest.mark.parametrize("scheduler", SCHEDULERS.names)
def test_every_trial_is_accounted_for_and_the_front_is_that_of_plain_optuna(
    sampler: str, scheduler: str, tmp_path: Path
) -> None:
    slow = sampler == "gp"  # once it learns, after ten trials; it keeps proposing what is over a limit
    limits = Counted(10_000) if slow else COUNTED
    ledger = played(tmp_path, limits, sampler=sampler, scheduler=scheduler, trials=11 if slow else 14).ledger
    study = reopened(tmp_path)
    assert study.metric_names == TWO
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    states = {"completed": "COMPLETE", "stopped": "PRUNED", "infeasible": "PRUNED", "failed": "FAIL"}
    assert [trial.state.name for trial in study.trials] == [states[r.status] for r in ledger.records.values()]
    assert {trial.number for trial in study.best_trials} == {record.number for record in front_of(ledger)} != set()
    for trial in study.get_trials(states=[TrialState.COMPLETE]):
        record = ledger.records[f"{trial.number:04d}"]
        assert trial.values == [record.last["val/accuracy"], record.parameters]


def test_there_are_able_samplers_and_one_that_is_not() -> None:
    assert set(SAMPLERS.names) - set(able) == {"cmaes"}
    assert all(SCHEDULERS.get(name).several_objectives for name in SCHEDULERS.names)


def test_a_stopped_trial_is_told_pruned_without_values_and_its_rungs_are_an_attribute(
    search: tuple[Path, Conductor],
) -> None:
    folder, conductor = search
    stopped = [r for r in conductor.ledger.records.values() if r.status is Status.STOPPED]
    told = reopened(folder).trials
    assert stopped
    for record in stopped:
        trial = told[record.number]
        assert (trial.state, trial.values, trial.intermediate_values) == (TrialState.PRUNED, None, {})
        last = trial.user_attrs[RUNGS][str(record.epochs)]
        assert last == [record.last["val/accuracy"], record.parameters]
    infeasible = next(r for r in conductor.ledger.records.values() if r.status is Status.INFEASIBLE)
    assert told[infeasible.number].constraints == {"limits": 0.5}


def test_tpe_is_shown_complete_trials_first_and_stopped_ones_by_how_far_they_came_and_how_good_they_were() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    stopped = [{"1": [0.9, 100.0]}, {"3": [0.1, 100.0]}, {"1": [0.9, 200.0]}, {"3": [0.2, 100.0]}, {"1": [0.95, 300.0]}]
    study.add_trials([optuna.create_trial(state=TrialState.PRUNED, user_attrs={RUNGS: rungs}) for rungs in stopped])
    study.add_trial(optuna.create_trial(values=[0.5, 100.0]))
    assert [trial.number for trial in Recent(study, 100)._get_trials()] == [5, 3, 1, 4, 0, 2]


def test_tpe_is_shown_who_was_stopped_before_anything_was_known_of_it_behind_all_others() -> None:
    """These trials had only begun when time ended the search, which is then extended."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    known = optuna.create_trial(state=TrialState.PRUNED, user_attrs={RUNGS: {"1": [0.9, 100.0]}})
    study.add_trials([optuna.create_trial(state=TrialState.PRUNED), known, optuna.create_trial(values=[0.5, 100.0])])
    assert [trial.number for trial in Recent(study, 100)._get_trials()] == [2, 1, 0]


def test_of_the_complete_trials_before_its_memory_tpe_sees_the_first_layers() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.create_trial(values=[number % 60 / 60, float(number)]) for number in range(300)])
    seen = [trial.number for trial in Recent(study, 100)._get_trials()]
    assert seen[100:] == list(range(200, 300))
    assert seen[:60] == list(range(60)), "nobody is as small and as good"


def test_the_summary_says_of_each_member_what_it_was_and_what_it_is_in_fresh_seeds(
    search: tuple[Path, Conductor],
) -> None:
    ledger, space = search[1].ledger, Space.parse(TABLES)
    first, *others = front_of(ledger)
    candidate = Candidate(f"trial-{first.trial_id}", space.at(first.values), [1, 2], first)
    candidate.reports = {1: {"val/accuracy": 0.5}, 2: {"val/accuracy": 0.7}}
    row, *rest = front_rows(ledger, space, [candidate])
    assert row["values"] == {"val/accuracy": first.last["val/accuracy"], "parameters": first.parameters}
    assert row["confirmed"] == {"seeds": 2, "values": {"val/accuracy": pytest.approx(0.6)}}
    assert row["config"]["optim"]["batch_size"] == first.values["optim.batch_size"]
    assert [(each["trial"], each["confirmed"]) for each in rest] == [(record.number, None) for record in others]
    json.dumps([row, *rest], allow_nan=False)


def test_target_and_patience_speak_of_the_first_objective(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(), (tmp_path / "patience").mkdir()
    reached = played(tmp_path / "target", target=0.5)
    assert reached.budget.ended_by is Reason.TARGET
    patient = played(tmp_path / "patience", patience=3, trials=60)
    best = max(patient.ledger.records.values(), key=lambda r: max((x["val/accuracy"] for x in r.reports), default=0))
    later = [r for r in patient.ledger.records.values() if r.number > best.number and r.status is not Status.INFEASIBLE]
    assert (patient.budget.ended_by, len(later)) == (Reason.PATIENCE, 2), "the best one's own end is the first"


def test_any_objective_that_is_not_a_number_fails_the_trial(tmp_path: Path) -> None:
    conductor = played(tmp_path, objectives=["val/accuracy", "val/loss"], trials=1)
    record = TrialRecord(99, "0099", {}, reports=[{"epoch": 9, "val/accuracy": 0.9, "val/loss": float("nan")}])
    assert conductor._decisions.ending(record, None, is_cut_off=False) is Status.FAILED


def test_latency_is_measured_once_a_trial_and_survives_in_the_logbook(tmp_path: Path) -> None:
    ledger = played(tmp_path, objectives=["val/accuracy", "latency_ms", "val/loss"], trials=8).ledger
    trained = [record for record in ledger.records.values() if record.status is not Status.INFEASIBLE]
    assert all(record.latency_ms == record.parameters / 1e4 for record in trained)
    known = History.of(tmp_path).records
    assert {name: r.latency_ms for name, r in known.items()} == {n: r.latency_ms for n, r in ledger.records.items()}
    study = reopened(tmp_path)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]


class Slow(Counted):
    """The widest is too slow."""

    def excess(self, config: Config) -> Excess:
        is_slow = self.latency_ms(config) > self.most / 1e4
        return Excess(0.5, "max_latency_ms", "over it") if is_slow else NO_EXCESS


def test_a_latency_that_is_limited_is_written_down_of_whoever_was_timed(tmp_path: Path) -> None:
    space = Space.parse({**TABLES, "limits": {"max_latency_ms": 0.032}, "search": {}})
    ledger, first_settings = Ledger(), deque({"student.mlp.widths": widths} for widths in ([64], [8]))
    study = Study(tmp_path / JOURNAL, "s", space)
    proposer = Proposer(study, ledger, Budget(6), Slow(), first_settings, {})  # type: ignore[arg-type]
    _, record = proposer.next() or pytest.fail("nothing was proposed")
    (refused,) = ledger.records.values()
    assert (refused.status, refused.latency_ms, record.latency_ms) == (Status.INFEASIBLE, 0.064, 0.008)


def test_a_search_of_two_objectives_starts_from_one_of_one_and_the_other_way_round(
    search: tuple[Path, Conductor], tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    one = played(tmp_path / "one", objectives="val/accuracy").ledger
    two, to_one = Space.parse(TABLES), Space.parse({**TABLES, "search": {"objectives": "val/accuracy"}})
    records = {tuple(map(str, r.values.values())): r for r in one.records.values() if r.status is Status.COMPLETED}
    learned = trials_of_others([str(tmp_path / "one")], two)
    complete = [trial for trial in learned if trial.state is TrialState.COMPLETE]
    assert len(complete) == one.count(Status.COMPLETED) > 0
    assert {tuple(t.values) for t in complete} == {(r.last["val/accuracy"], r.parameters) for r in records.values()}
    assert sum(RUNGS in trial.user_attrs for trial in learned) == one.count(Status.COMPLETED, Status.STOPPED)
    study = Study(tmp_path / "journal", "s", two)
    study.learn(learned)
    assert study.ask().number == len(learned)
    back = [trial for trial in trials_of_others([str(search[0])], to_one) if trial.state is TrialState.COMPLETE]
    done = [record for record in search[1].ledger.records.values() if record.status is Status.COMPLETED]
    assert [trial.value for trial in back] == [record.last["val/accuracy"] for record in done]
    assert all(trial.intermediate_values for trial in back)
