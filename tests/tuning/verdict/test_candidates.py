"""What is retrained with which seeds, what a death is blamed on, and what share of the time was training."""

from dataclasses import replace

import pytest

from distill_tune.config.space import Space
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate, baselines_of, confirmation_record, fresh_seeds
from distill_tune.tuning.verdict.clock import first_step_s, last_end_s, training_share
from distill_tune.tuning.verdict.training import Training


def test_confirmation_seeds_are_none_that_the_search_has_used(small_space: Space) -> None:
    config = small_space.config
    seeds = fresh_seeds(config, 5)
    assert len(set(seeds)) == 5
    assert config.search.seed not in seeds


def test_baselines_differ_from_the_winner_in_the_loss_alone(winner: Candidate) -> None:
    for baseline in baselines_of(winner):
        assert baseline.config.model_copy(update={"loss": winner.config.loss}) == winner.config
        assert baseline.seeds == winner.seeds
    alone, default = baselines_of(winner)
    assert alone.config.loss.kind == "labels"
    assert (default.config.loss.temperature, default.config.loss.soft_weight) == (4.0, 0.9)


def test_baselines_have_nothing_of_the_teachers_weights(small_space: Space) -> None:
    tables = {**small_space.tables, "regularization": {"norm_ratio": 0.5}}
    tables["student"] = {"family": "mlp", "init": "inherit", "mlp": {"widths": [8]}}
    config = Space.parse(tables).config
    record = TrialRecord(7, "0007", {"student.init": "inherit"})
    for baseline in baselines_of(Candidate("trial-0007", config, [1, 2], record)):
        assert baseline.config.student.init == "default"
        assert baseline.config.regularization.norm_ratio is None
        assert baseline.changes["student.init"] == "default"


def test_a_baseline_is_shown_with_no_value_of_the_winner_that_it_does_not_have(small_space: Space) -> None:
    tables = {**small_space.tables, "student": {"family": "mlp", "init": "inherit_progressive"}}
    values = {
        "student.mlp.width": 8,
        "student.init": "inherit_progressive",
        "student.inherit_progressive.free_by": 0.4,
        "loss.kind": "dkd",
        "loss.dkd.target_weight": 2.0,
        "loss.temperature": 2.0,
        "loss.temperature_end": 3.0,
        "loss.soft_weight": 0.7,
        "loss.also.dist": 0.1,
    }
    candidate = Candidate("trial-0007", Space.parse(tables).config, [1, 2], TrialRecord(7, "0007", values))
    alone, default = (confirmation_record(baseline, 1).values for baseline in baselines_of(candidate))
    begun = {"student.mlp.width": 8, "student.init": "default"}
    assert alone == {**begun, "loss.kind": "labels"}
    assert default == {**begun, "loss.kind": "soft_targets", "loss.temperature": 4.0, "loss.soft_weight": 0.9}


def test_a_confirmation_is_shown_with_the_costs_of_its_student(winner: Candidate) -> None:
    source = replace(winner.source, parameters=90, multiply_adds=80, latency_ms=0.25)
    for candidate in (replace(winner, source=source), *baselines_of(replace(winner, source=source))):
        record = confirmation_record(candidate, 1000)
        assert (record.parameters, record.multiply_adds, record.latency_ms) == (90, 80, 0.25)


def test_runs_share_a_row_where_they_are_seeds_of_one_configuration_for_one_purpose(winner: Candidate) -> None:
    other = Candidate("trial-0003", winner.config, winner.seeds, TrialRecord(3, "0003", {}))
    sides = [winner, winner.again([1005, 1006]), *baselines_of(winner), *baselines_of(other)]
    rows = [{confirmation_record(side, seed).group for seed in side.seeds} for side in sides]
    assert all(len(row) == 1 for row in rows)
    assert len(set.union(*rows)) == len(sides)


def test_training_share_is_training_over_all_places_time() -> None:
    ledger = Ledger()
    for number, (began_s, trained_s, ended_s) in enumerate([(100.0, 4.0, 105.0), (101.0, 9.0, 110.0)]):
        record = TrialRecord(number, str(number), {}, started_s=90.0)
        ledger.start(record)
        ledger.report(str(number), {"epoch": 1, "time/began_s": began_s, "time/training_s": trained_s})
        ledger.end(record, Status.STOPPED)
        record.ended_s = ended_s
    assert first_step_s(ledger) == 100.0
    assert last_end_s(ledger) == 110.0
    assert training_share(ledger, place_s=2 * 10.0) == pytest.approx(13 / 20)


def test_a_search_that_never_trained_has_no_share_of_training() -> None:
    assert training_share(Ledger(), place_s=0.0) == 0.0


def test_whose_fault_deaths_are_is_seen_by_how_others_fare(winner: Candidate) -> None:
    dead = Training(winner, 1000, retries_left=1).died("the node was lost", 3)
    assert dead.may_begin_again
    dead = dead.died("the node was lost", 4)
    assert not dead.may_begin_again
    assert dead.is_to_blame(4, is_again=False), "another came to its end between its deaths"
    assert not dead.is_to_blame(3, is_again=False)
    assert dead.is_to_blame(3, is_again=True), "else the confirmation could never be finished"
    assert not dead.is_to_blame(0, is_again=True)
    assert not Training(winner, 1000, retries_left=0).is_to_blame(9, is_again=True), "its process has not died"


def test_deaths_before_a_new_epoch_are_no_reason_to_give_a_training_up(winner: Candidate) -> None:
    dead = Training(winner, 1000, retries_left=1).died("the node was lost", 3).died("the node was lost", 3)
    assert not dead.may_begin_again
    again = dead.begun_anew(1)
    assert again == Training(winner, 1000, retries_left=1)
    assert not again.died("the node was lost", 4).died("the node was lost", 4).is_to_blame(4, is_again=False)
