"""What the samplers propose, and what they refuse to sample."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from told_studies import NUMBERS, grown, known_of, space_with

from distill_tune.config import Space, load_space
from distill_tune.config.searching import SearchConfig
from distill_tune.errors import ConfigError
from distill_tune.export.result_folder import write_search_toml
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.proposals.start_from import check_others
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.proposals.warm_start import trials_of_others
from distill_tune.tuning.state.logbook import Logbook
from distill_tune.tuning.state.records import Status, TrialRecord

SHIPPED = Path(__file__).parents[3] / "search_spaces"


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS.names if name != "grid"])
def test_what_is_proposed_hangs_on_the_seed_and_the_study_alone(sampler: str, tmp_path: Path) -> None:
    def proposals(name: str, seed: int) -> list[dict[str, Any]]:
        return grown(Study(tmp_path / name, "s", space_with(sampler=sampler, seed=seed)), 14)

    first = proposals("a", 1)
    assert first == proposals("b", 1)
    assert first != proposals("c", 2)


def test_tpe_learns_where_the_good_trials_are(tmp_path: Path) -> None:
    rates = [values["optim.learning_rate"] for values in grown(Study(tmp_path / "j", "s", space_with()), 60)]
    early, late = rates[:10], rates[-20:]
    assert sum(abs(rate - 0.01) for rate in late) / 20 < sum(abs(rate - 0.01) for rate in early) / 10


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_the_sampler_of_every_shipped_space_proposes_what_can_be_trained_and_learns(path: Path, tmp_path: Path) -> None:
    space = load_space(path, [])
    study = Study(tmp_path / "j", "s", space)
    far = []
    for _ in range(60):
        proposal = study.ask()
        far.append(abs(math.log(proposal.config.optim.learning_rate / 0.01)))
        reports = [{"epoch": 1, **dict.fromkeys(space.config.search.objectives, -far[-1]), "val/loss": far[-1]}]
        study.tell(TrialRecord(proposal.number, "t", proposal.values, reports=reports), Status.COMPLETED)
    assert sum(far[-20:]) < sum(far[:20])


SMALL = {"gp": {"startup_trials": 5}, "cmaes": {"startup_trials": 5}, "nsgaii": {"population": 5}}
"""Samplers of complete trials, set to learn early."""


@pytest.mark.parametrize("status", [Status.STOPPED, Status.PAUSED, Status.INTERRUPTED])
@pytest.mark.parametrize(
    ("sampler", "objectives"),
    [
        ("gp", ["val/accuracy"]),
        ("cmaes", ["val/accuracy"]),
        ("nsgaii", ["val/accuracy"]),
        ("nsgaii", ["val/accuracy", "val/loss"]),
    ],
)
def test_who_learns_from_complete_trials_learns_as_much_from_those_that_a_rung_has_stopped(
    sampler: str, objectives: list[str], status: Status, tmp_path: Path
) -> None:
    space = space_with(sampler=sampler, objectives=objectives, **{sampler: SMALL[sampler]})
    complete = grown(Study(tmp_path / "complete", "s", space), 9)
    assert grown(Study(tmp_path / "others", "s", space), 9, [status]) == complete
    at_random = grown(Study(tmp_path / "failed", "s", space), 9, [Status.FAILED])
    assert at_random[:5] == complete[:5]
    assert at_random[6:] != complete[6:], "what has failed teaches nothing"


@pytest.mark.parametrize("objectives", [["val/accuracy"], ["val/accuracy", "val/loss"]])
def test_a_process_learns_which_students_are_over_a_limit(objectives: list[str], tmp_path: Path) -> None:
    study, refused = Study(tmp_path / "j", "s", space_with(sampler="gp", objectives=objectives, gp=SMALL["gp"])), 0
    for number in range(16):
        proposal = study.ask()
        rate = proposal.values["optim.learning_rate"]
        reports = [{"epoch": 1, "val/accuracy": 1 + rate, "val/loss": -rate}]
        record = TrialRecord(proposal.number, f"{number:04d}", proposal.values, reports=reports if rate < 0.01 else [])
        study.tell(record, Status.COMPLETED if rate < 0.01 else Status.INFEASIBLE, excess=max(0.0, rate - 0.01))
        refused += rate >= 0.01
    assert 0 < refused < 8, "the larger the rate the better, until it is refused"


def test_a_parent_that_paused_and_then_failed_is_no_parent_any_more(tmp_path: Path) -> None:
    study = Study(tmp_path / "j", "s", space_with(sampler="nsgaii", nsgaii={"population": 2}))
    first = [study.ask() for _ in range(2)]
    for proposal in first:
        study.note(known_of(proposal))
    grown(study, 1, [Status.PAUSED])
    for proposal in first:
        study.take_up(known_of(proposal))
        study.tell(known_of(proposal), Status.FAILED)
    grown(study, 4)


def test_a_sequence_never_repeats_itself_whoever_ends_first_in_a_conditional_space(tmp_path: Path) -> None:
    student = {"family": ["mlp", "convnet"], "mlp": {"width": {"int": [4, 80]}}, "convnet": {"width": {"int": [4, 80]}}}
    study = Study(tmp_path / "j", "s", Space.parse({**NUMBERS, "student": student, "search": {"sampler": "qmc"}}))
    at_work, rates = [study.ask() for _ in range(8)], list[float]()
    for _ in range(24):
        ended = at_work.pop()  # the first eight end in reverse order
        rates.append(ended.values["optim.learning_rate"])
        study.tell(known_of(ended), Status.COMPLETED)
        at_work.insert(0, study.ask())
    assert len(set(rates)) == 24


def test_a_strategy_goes_on_where_what_all_trials_had_by_chance_is_not_there_for_one(tmp_path: Path) -> None:
    """Twenty trials with a teacher have a `soft_weight`, and one with labels alone has none."""
    loss = {"kind": ["soft_targets", "labels"], "soft_weight": {"uniform": [0.0, 1.0]}}
    space = Space.parse({**NUMBERS, "loss": loss, "search": {"sampler": "cmaes", "cmaes": {"startup_trials": 5}}})
    study, far = Study(tmp_path / "j", "s", space), []
    for number in range(80):
        proposal = study.ask({"loss.kind": "labels" if number == 20 else "soft_targets"})
        study.tell(known_of(proposal), Status.COMPLETED)
        far.append(abs(math.log(proposal.values["optim.learning_rate"] / 0.01)))
    assert sum(far[-20:]) < sum(far[:20]) / 3


@pytest.mark.parametrize(
    ("sampler", "tables", "says"),
    [
        ("grid", NUMBERS["optim"], "tries every value"),
        ("cmaes", {"batch_size": {"choice": [32, 64]}}, "needs ranges of numbers"),
    ],
)
def test_a_space_that_a_sampler_cannot_sample_is_refused(sampler: str, tables: dict[str, Any], says: str) -> None:
    space = Space.parse({**NUMBERS, "optim": tables, "search": {"sampler": sampler}})
    with pytest.raises(ConfigError, match=says):
        space.config.search.chosen("sampler").check(space)


@pytest.mark.parametrize(
    ("sampler", "learning_rate", "is_refused"),
    [("grid", {"choice": [0.01, 0.1]}, False), ("cmaes", {"choice": [0.01, 0.1]}, True)],
)
def test_ranges_that_no_trial_has_are_none_to_a_sampler(
    sampler: str, learning_rate: dict[str, Any], is_refused: bool
) -> None:
    unchosen = {"family": "mlp", "resnet": {"dropout": {"uniform": [0.0, 0.5]}}}
    tables = {**NUMBERS, "student": unchosen, "optim": {"learning_rate": learning_rate}}
    space = Space.parse({**tables, "search": {"sampler": sampler}})
    with pytest.raises(ConfigError) if is_refused else nullcontext():
        space.config.search.chosen("sampler").check(space)


@pytest.mark.parametrize(("of_all", "is_refused"), [({}, True), ({"weight_decay": {"log": [1e-6, 1e-2]}}, False)])
def test_a_strategy_needs_numbers_that_every_trial_has(of_all: dict[str, Any], is_refused: bool) -> None:
    student = {"family": ["mlp", "convnet"], "mlp": {"width": {"int": [4, 8]}}, "convnet": {"width": {"int": [4, 8]}}}
    space = Space.parse({**NUMBERS, "student": student, "optim": of_all, "search": {"sampler": "cmaes"}})
    with pytest.raises(ConfigError, match="conditional; use 'tpe'") if is_refused else nullcontext():
        space.config.search.chosen("sampler").check(space)


def test_given_settings_come_first_and_what_they_leave_out_is_sampled(tmp_path: Path) -> None:
    study = Study(tmp_path / "j", "s", space_with())
    proposal = study.ask({"optim.learning_rate": 0.02})
    assert proposal.values["optim.learning_rate"] == 0.02
    assert 1e-6 <= proposal.values["optim.weight_decay"] <= 1e-2
    assert study.ask().values["optim.learning_rate"] != 0.02


def test_the_trials_of_another_search_are_known_where_the_space_has_all_of_their_values(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    tried = grown(Study(other / "study.journal", "other", space_with()), 12)
    write_search_toml(other, space_with(), "command")
    wider = Space.parse({**NUMBERS, "optim": {**NUMBERS["optim"], "batch_size": {"choice": [32, 64]}}})
    narrow = Space.parse({**NUMBERS, "optim": {"learning_rate": {"log": [1e-4, 1e-2]}}})
    known = trials_of_others([str(other)], space_with())
    assert [trial.params for trial in known] == tried
    assert [trial.value for trial in known] == [1 - abs(values["optim.learning_rate"] - 0.01) for values in tried]
    assert trials_of_others([str(other)], wider) == [None] * 12, "they say nothing of the batch size"
    fitting = [trial for trial in trials_of_others([str(other)], narrow) if trial is not None]
    assert 0 < len(fitting) < 12
    assert all(set(trial.params) == {"optim.learning_rate"} for trial in fitting)
    study = Study(tmp_path / "j", "s", narrow)
    study.learn(fitting)
    assert study.ask().number == len(fitting)


def test_what_another_search_was_told_by_another_objective_is_read_anew_from_its_logbook(tmp_path: Path) -> None:
    by_loss, by_accuracy = space_with(objectives="val/loss"), space_with()
    study = Study(tmp_path / "study.journal", "other", by_loss)
    write_search_toml(tmp_path, by_loss, "command")
    with pytest.raises(ConfigError, match=r"holds no ledger\.jsonl"):
        check_others(SearchConfig(start_from=[str(tmp_path)]))
    proposal, logbook = study.ask(), Logbook(tmp_path)
    record = TrialRecord(proposal.number, "0000", proposal.values)
    logbook.trial_started(record)
    record.reach({"epoch": 1, "val/accuracy": 0.4, "val/loss": 2.3}, is_rung=True, at_s=0.0)
    logbook.trial_reported(record)
    logbook.release()
    study.tell(record, Status.COMPLETED)
    check_others(SearchConfig(start_from=[str(tmp_path)]))
    for space, value in ((by_loss, 2.3), (by_accuracy, 0.4)):
        (learned,) = trials_of_others([str(tmp_path)], space)
        assert (learned.value, learned.intermediate_values) == (value, {1: value})


def test_a_folder_without_a_search_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no study\.journal"):
        check_others(SearchConfig(start_from=[str(tmp_path)]))
