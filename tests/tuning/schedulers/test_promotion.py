"""The pausing scheduler: checked against Algorithm 2 of the paper, and what a search needs of it."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.searching import SearchConfig
from distill_tune.tuning.dominance import dominates
from distill_tune.tuning.schedulers.promotion import Promotion, PromotionJudge

Pair = tuple[float, float]
arrivals = st.lists(st.floats(0, 1), min_size=1, max_size=60)
pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


def promoting(**search: Any) -> PromotionJudge:
    made = Promotion().judge(SearchConfig(**{"max_epochs": 9} | search))
    assert isinstance(made, PromotionJudge)
    return made


def arrive(judge: PromotionJudge, number: int, epochs: int, *scores: float) -> bool:
    """Whether a trial continues at a rung; else, pause it."""
    passed = judge.goes_on(f"{number:04d}", epochs, *scores)
    if not passed:
        judge.pause(f"{number:04d}", epochs)
    return passed


def best_third(scores: Sequence[float]) -> list[str]:
    """Names of the best third, as in the paper: the first in order."""
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    return [f"{number:04d}" for number in order[: len(scores) // 3]]


@given(arrivals)
def test_who_arrives_goes_on_exactly_if_it_is_among_the_best_third_by_now(values: list[float]) -> None:
    judge = promoting()
    for number, value in enumerate(values):
        assert arrive(judge, number, 1, value) == (f"{number:04d}" in best_third(values[: number + 1]))


@given(arrivals)
def test_those_promoted_in_the_end_and_those_that_went_on_at_once_make_up_the_best_third(values: list[float]) -> None:
    judge = promoting()
    passed = {f"{number:04d}" for number, value in enumerate(values) if arrive(judge, number, 1, value)}
    while (name := judge.next_to_promote(is_last=False)) is not None:
        judge.promote(name, 1)
        passed.add(name)
    assert set(best_third(values)) <= passed
    by_then = {name for count in range(len(values) + 1) for name in best_third(values[:count])}
    assert passed <= by_then, "nobody goes on who was never among them"


def test_of_equal_scores_the_lowest_loss_is_promoted_and_not_the_first_to_be_proposed() -> None:
    judge = promoting()
    for number, loss in enumerate([0.9, 0.3, 0.7, 0.4, 0.8, 0.6]):
        if not judge.goes_on(f"{number:04d}", 1, 0.5, tie_break=-loss):
            judge.pause(f"{number:04d}", 1)
    assert judge.rungs[0].cutoff == 0.5
    assert judge.next_to_promote(is_last=False) == "0001"
    judge.promote("0001", 1)
    assert not judge.goes_on("0006", 1, 0.5, tie_break=-0.5)
    assert judge.next_to_promote(is_last=False) == "0003"


@given(arrivals)
def test_the_best_that_pauses_is_promoted_first(values: list[float]) -> None:
    judge = promoting()
    paused = {f"{number:04d}": value for number, value in enumerate(values) if not arrive(judge, number, 1, value)}
    while (name := judge.next_to_promote(is_last=False)) is not None:
        assert paused.pop(name) >= max(paused.values(), default=0.0)
        judge.promote(name, 1)


def test_a_higher_rung_comes_before_a_lower_one() -> None:
    judge = promoting()
    for number in range(6):
        arrive(judge, number, 1, 0.1 * number)
    for number, score in ((5, 0.5), (4, 0.9), (3, 0.4)):
        judge.goes_on(f"{number:04d}", 3, score)
        judge.pause(f"{number:04d}", 3)
    assert judge.next_to_promote(is_last=False) == "0004"
    judge.promote("0004", 3)
    assert judge.next_to_promote(is_last=False) is None


@given(values=arrivals, order=st.randoms(use_true_random=False))
def test_the_order_in_which_they_arrived_is_of_no_account(values: list[float], order: Any) -> None:
    one, other = promoting(), promoting()
    numbers = list(range(len(values)))
    for judge in (one, other):
        for number in numbers:
            judge.goes_on(f"{number:04d}", 1, values[number])
        for number in numbers:
            judge.pause(f"{number:04d}", 1)
        order.shuffle(numbers)
    while (name := one.next_to_promote(is_last=False)) is not None:
        assert other.next_to_promote(is_last=False) == name
        one.promote(name, 1)
        other.promote(name, 1)
    assert other.next_to_promote(is_last=False) is None


def test_who_was_promoted_is_let_pass_when_its_last_epoch_is_shown_again() -> None:
    judge = promoting()
    for number, value in enumerate((0.5, 0.4, 0.3)):
        arrive(judge, number, 1, value)
    assert judge.next_to_promote(is_last=False) == "0000"
    judge.promote("0000", 1)
    for number in range(3, 9):
        arrive(judge, number, 1, 0.9)
    assert judge.goes_on("0000", 1, 0.5)


def test_who_is_asked_about_again_may_be_let_on_by_then_and_is_never_refused_after_that() -> None:
    judge = promoting()
    assert not judge.goes_on("a", 1, 0.5)
    assert not judge.goes_on("b", 1, 0.2)
    assert not judge.goes_on("c", 1, 0.1)
    assert judge.goes_on("a", 1, 0.5), "the best of three"
    assert judge.goes_on("d", 1, 0.9)
    assert judge.goes_on("a", 1, 0.5), "though it is no longer the best"


@pytest.mark.parametrize("count", [1, 2])
def test_where_too_few_come_the_first_of_a_rung_goes_on_once_nobody_else_will(count: int) -> None:
    judge = promoting()
    for number in range(count):
        assert not arrive(judge, number, 1, 0.1 * number)
    assert judge.next_to_promote(is_last=False) is None
    assert judge.next_to_promote(is_last=True) == f"{count - 1:04d}"


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_has_diverged_takes_no_place_on_a_rung(score: float) -> None:
    judge = promoting()
    assert not judge.goes_on("0000", 1, score)
    assert judge.next_to_promote(is_last=True) is None


def test_the_cutoff_is_the_score_of_the_last_of_the_best_third() -> None:
    judge = promoting()
    for number in range(7):
        arrive(judge, number, 1, number / 10)
    assert judge.rungs[0].cutoff == pytest.approx(0.5)


def test_trials_that_an_extension_finds_stopped_take_no_place_among_the_best() -> None:
    judge = promoting()
    for number in range(5):
        judge.goes_on(f"{number:04d}", 1, 0.9)
    for number in range(5):
        judge.drop(f"{number:04d}", 1)
    assert arrive(judge, 5, 1, 0.5), "two of six may go on, and nobody else can"
    assert arrive(judge, 6, 1, 0.4)
    assert not arrive(judge, 7, 1, 0.3)


@given(pairs)
def test_with_two_objectives_whoever_nobody_dominates_goes_on_once_there_are_enough_to_compare(
    points: list[Pair],
) -> None:
    judge = promoting()
    for number, pair in enumerate(points):
        arrive(judge, number, 1, *pair)
    while (name := judge.next_to_promote(is_last=False)) is not None:
        judge.promote(name, 1)
    for number, pair in enumerate(points):
        if len(points) >= 3 and not any(dominates(other, pair) for other in points):
            assert judge.goes_on(f"{number:04d}", 1, *pair)


@given(pairs)
def test_with_two_objectives_the_best_third_goes_on(points: list[Pair]) -> None:
    judge = promoting()
    for number, pair in enumerate(points):
        arrive(judge, number, 1, *pair)
    passed = [n for n, pair in enumerate(points) if judge.goes_on(f"{n:04d}", 1, *pair)]
    while (name := judge.next_to_promote(is_last=False)) is not None:
        judge.promote(name, 1)
        passed.append(int(name))
    assert len(passed) >= len(points) // 3
