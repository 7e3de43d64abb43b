"""The front of several objectives: which trials are on it, and which are confirmed."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import VALUES

from distill_tune.config import Space
from distill_tune.tuning.confirm_phase import ConfirmPhase
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.dominance import dominates
from distill_tune.tuning.session import Session
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.front import candidates, distinct, front_in_words, front_of

ends = st.sampled_from([Status.COMPLETED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED])
trials = st.tuples(st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1), st.sampled_from([100, 200, 400]), ends)


@given(st.lists(trials, max_size=30))
def test_no_member_of_the_front_is_dominated_every_other_is_and_the_tally_agrees(
    outcomes: list[tuple[float, int, Status]],
) -> None:
    tally = Tally("val/accuracy", further=["parameters"])
    ledger = Ledger("val/accuracy", [tally], further=["parameters"])
    for number, (accuracy, parameters, status) in enumerate(outcomes):
        record = TrialRecord(number, f"{number:04d}", {}, parameters=parameters)
        ledger.start(record)
        ledger.report(record.trial_id, {"epoch": 1, "val/accuracy": accuracy})
        ledger.end(record, status)
    front = front_of(ledger)
    scores = {r.trial_id: ledger.scores(r, r.last) for r in ledger.records.values() if r.status is Status.COMPLETED}
    members = {record.trial_id for record in front}
    for name, mine in scores.items():
        assert (name in members) != any(dominates(scores[other], mine) for other in members)
    assert tally.front == {name: scores[name] for name in members}
    assert [r.last["val/accuracy"] for r in front] == sorted((r.last["val/accuracy"] for r in front), reverse=True)


def ledger_of(*outcomes: tuple[float, int, Status]) -> Ledger:
    ledger = Ledger("val/accuracy", further=["parameters"])
    for number, (accuracy, parameters, status) in enumerate(outcomes):
        record = TrialRecord(number, f"{number:04d}", {"optim.learning_rate": number}, parameters=parameters)
        ledger.start(record)
        ledger.report(record.trial_id, {"epoch": 1, "val/accuracy": accuracy, "val/loss": 1 - accuracy})
        ledger.end(record, status)
    return ledger


DONE = Status.COMPLETED
FRONT = [(0.5, 50, DONE), (0.9, 400, DONE), (0.8, 300, DONE), (0.7, 200, DONE), (0.6, 100, DONE), (0.85, 900, DONE)]


def test_candidates_are_the_best_then_the_other_end_of_the_front_then_between_and_then_the_rest() -> None:
    assert [record.number for record in candidates(ledger_of(*FRONT))] == [1, 0, 3, 2, 4, 5]


def test_whoever_time_has_cut_short_leads_the_candidates_only_where_it_is_better_than_the_front() -> None:
    cut = ledger_of(*FRONT, (0.95, 900, Status.INTERRUPTED), (0.4, 20, Status.STOPPED))
    assert [record.number for record in candidates(cut)][:3] == [6, 1, 0]
    behind = ledger_of(*FRONT, (0.9, 900, Status.INTERRUPTED))
    assert [record.number for record in candidates(behind)][:2] == [1, 0]


def test_where_no_trial_came_to_its_end_candidates_are_as_they_rank() -> None:
    cut = ledger_of((0.4, 20, Status.STOPPED), (0.9, 900, Status.INTERRUPTED), (0.99, 30, Status.FAILED))
    assert [record.number for record in candidates(cut)] == [1, 0]


def test_with_one_objective_candidates_are_as_they_rank() -> None:
    ledger = Ledger()
    ledger.records = ledger_of(*FRONT).records
    assert candidates(ledger) == ledger.ranked()
    assert candidates(Ledger("val/accuracy", further=["parameters"])) == []


@pytest.mark.parametrize("further", [[], ["parameters"]])
def test_no_configuration_is_confirmed_twice(further: list[str]) -> None:
    ledger = Ledger("val/accuracy", further=further)
    once = ledger_of(*FRONT).records
    again = ledger_of(*FRONT, *FRONT, (0.99, 50, Status.INTERRUPTED)).records
    for record in list(again.values())[6:]:
        record.values = again[f"{record.number % 6:04d}"].values
    ledger.records = once
    alone = [record.number for record in candidates(ledger)]
    ledger.records = again
    assert [record.number % 6 for record in candidates(ledger)] == [0, *(n for n in alone if n != 0)]
    assert candidates(ledger)[0].number == 12, "of those with the same values the best stands for them"


def test_no_configuration_of_the_search_without_a_teacher_is_confirmed_twice() -> None:
    records = ledger_of(*FRONT, *FRONT).records
    for record in list(records.values())[6:]:
        record.values = records[f"{record.number - 6:04d}"].values
    beside = Ledger()
    beside.records = records
    assert [record.number for record in distinct(beside.ranked())] == [1, 5, 2, 3, 4, 0]


def test_candidates_of_the_search_without_a_teacher_are_chosen_as_those_of_the_search(small_space: Space) -> None:
    """Three tries at the first objective, rather than one and two at other front ends, would favour them."""
    ledger = ledger_of(*FRONT)
    for record in ledger.records.values():
        record.values = {"optim.learning_rate": 0.01 + record.number / 1000}
    baseline: Any = SimpleNamespace(ledger=ledger, space=small_space, ended_by=Reason.TRIALS)
    phase: Any = SimpleNamespace()
    plan = ConfirmationPlan(top=3, seeds=2, searches=2)
    searched = ConfirmPhase._searched_without_teacher(phase, baseline, plan, [1, 2])
    assert [each.source for each in searched] == candidates(ledger)[:3]


def test_of_a_search_that_has_given_up_nothing_is_confirmed(small_space: Space) -> None:
    """A trial running then may have finished an epoch since."""
    ledger, said = ledger_of(*FRONT), list[str]()
    baseline: Any = SimpleNamespace(ledger=ledger, space=small_space, ended_by=Reason.FAILURES)
    phase: Any = SimpleNamespace(_reporter=SimpleNamespace(tell=said.append))
    plan = ConfirmationPlan(top=3, seeds=2, searches=2)
    assert ConfirmPhase._searched_without_teacher(phase, baseline, plan, [1, 2]) == []
    assert said == ["warning: no trial of the search without a teacher could be used; nothing is said of it"]
    main: Any = SimpleNamespace(
        _search=lambda: None, main=SimpleNamespace(ended_by=Reason.FAILURES), _failed=lambda: {"status": "failed"}
    )
    assert Session._in_order(main) == {"status": "failed"}


def test_whoever_stands_by_is_named_where_it_is_wanted_and_not_after_an_interrupt(small_space: Space) -> None:
    interrupt, said = SimpleNamespace(requested=False), list[str]()
    phase: Any = SimpleNamespace(_interrupt=interrupt, _space=small_space, _reporter=SimpleNamespace(tell=said.append))
    best = [TrialRecord(number, f"{number:04d}", VALUES) for number in (7, 3, 9)]
    reserve = ConfirmPhase._reserve(phase, best, [1, 2])
    assert said == []
    assert [next(reserve).name, next(reserve).name] == ["trial-0007", "trial-0003"]
    assert said[0] == "none of these came to its end in two seeds; trial 0007 is confirmed next"
    interrupt.requested = True
    assert (list(reserve), len(said)) == ([], 2)


def test_the_front_in_words_has_its_ends() -> None:
    assert (
        front_in_words(ledger_of(*FRONT))
        == "the front: 5 students, val/accuracy 0.9000 to 0.5000, parameters 400 to 50"
    )
    assert front_in_words(ledger_of(FRONT[1])) == "the front: 1 student, val/accuracy 0.9000, parameters 400"
    assert front_in_words(ledger_of()) == "the front is empty: no trial came to its end"


def test_the_ends_of_three_objectives_are_those_of_each() -> None:
    ledger = Ledger("val/accuracy", further=["val/loss", "parameters"])
    for number, (accuracy, loss, parameters) in enumerate([(0.9, 0.5, 300), (0.8, 0.2, 200), (0.7, 0.4, 100)]):
        record = TrialRecord(number, f"{number:04d}", {}, parameters=parameters)
        ledger.start(record)
        ledger.report(record.trial_id, {"epoch": 1, "val/accuracy": accuracy, "val/loss": loss})
        ledger.end(record, Status.COMPLETED)
    expected = "val/accuracy 0.9000 to 0.7000, val/loss 0.5000 to 0.2000, parameters 300 to 100"
    assert front_in_words(ledger) == f"the front: 3 students, {expected}"
