import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.searching import SearchConfig
from distill_tune.errors import ConfigError
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.dominance import dominates
from distill_tune.tuning.schedulers import Judge, Scheduler


def asha(min_epochs: int, max_epochs: int, reduction_factor: int) -> Judge:
    return judge(scheduler="asha", min_epochs=min_epochs, max_epochs=max_epochs, reduction_factor=reduction_factor)


def judge(**search: Any) -> Judge:
    return Scheduler.judge_of(SearchConfig(**search))


class Absent(Scheduler):
    """A custom scheduler that returns no judge."""

    def judge(self, search: SearchConfig) -> Judge:
        return None  # type: ignore[return-value]


each_scheduler = pytest.mark.parametrize("scheduler", SCHEDULERS.names)
each_that_stops = pytest.mark.parametrize(
    "scheduler", [name for name in SCHEDULERS.names if not judge(scheduler=name).pauses]
)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_rungs_are_a_geometric_ladder_below_the_full_budget() -> None:
    assert [rung.epochs for rung in asha(1, 27, 3).rungs] == [1, 3, 9]
    assert [rung.epochs for rung in asha(2, 27, 4).rungs] == [2, 8]
    assert asha(27, 27, 3).rungs == []


def test_a_scheduler_that_gives_no_judge_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"`judge` of 'test_schedulers:Absent' must give a Judge, but gave None; mend"
    ):
        judge(scheduler="test_schedulers:Absent")


@given(scores)
def test_the_first_to_arrive_go_on_until_there_are_enough_to_compare(values: list[float]) -> None:
    rungs = asha(1, 9, 3)
    assert all(rungs.goes_on(str(i), 1, value) for i, value in enumerate(values[:2]))


@given(scores)
def test_a_trial_goes_on_exactly_if_it_is_among_the_best_third_of_those_that_have_arrived(values: list[float]) -> None:
    rungs = asha(1, 9, 3)
    for i, value in enumerate(values):
        kept = rungs.goes_on(str(i), 1, value)
        arrived = sorted(values[: i + 1], reverse=True)
        keep = len(arrived) // 3
        assert kept == (keep == 0 or value >= arrived[keep - 1])


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6]), st.floats(-3, 0)), min_size=1, max_size=40))
def test_of_equal_scores_the_lower_loss_goes_on(values: list[tuple[float, float]]) -> None:
    rungs = asha(1, 9, 3)
    for i, (score, tie_break) in enumerate(values):
        kept = rungs.goes_on(str(i), 1, score, tie_break=tie_break)
        arrived = sorted(values[: i + 1], reverse=True)
        keep = len(arrived) // 3
        assert kept == (keep == 0 or (score, tie_break) >= arrived[keep - 1])


@each_scheduler
def test_a_loss_that_is_not_finite_breaks_no_tie_and_stops_nobody_who_is_better(scheduler: str) -> None:
    made = judge(scheduler=scheduler, max_epochs=9)
    for number in range(12):
        made.goes_on(f"{number:04d}", 1, 0.5, tie_break=math.nan if number % 2 else -1.0)
    assert made.goes_on("better", 1, 0.6, tie_break=math.nan)
    if made.pauses:
        made.pause("0000", 1), made.pause("0001", 1)
        assert made.next_to_promote(is_last=False) == "0000"


@given(scores)
def test_the_best_so_far_always_goes_on(values: list[float]) -> None:
    rungs = asha(1, 9, 2)
    for i, value in enumerate(values):
        if rungs.goes_on(str(i), 1, value) is False:
            assert value < max(values[: i + 1])


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_never_goes_on_and_never_counts(score: float) -> None:
    rungs = asha(1, 9, 2)
    assert not rungs.goes_on("diverged", 1, score)
    assert not rungs.goes_on("diverged", 2, score)
    assert rungs.rungs[0].scores == {}


def test_between_rungs_every_trial_goes_on() -> None:
    rungs = asha(1, 9, 3)
    for trial in range(9):
        rungs.goes_on(str(trial), 1, 1.0 - trial / 10)
    assert rungs.goes_on("8", 2, 0.0)


def test_without_a_scheduler_no_trial_is_stopped() -> None:
    rungs = judge(scheduler="none")
    assert all(rungs.goes_on(str(i), epoch, -i) for i in range(9) for epoch in range(1, 28))
    assert not rungs.goes_on("diverged", 3, math.nan)


@each_scheduler
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_no_scheduler_lets_a_diverged_trial_go_on(scheduler: str, score: float) -> None:
    made = judge(scheduler=scheduler, max_epochs=9)
    assert [made.goes_on("diverged", epoch, score) for epoch in (1, 2, 3)] == [False] * 3
    assert all("diverged" not in rung.scores for rung in made.rungs)


@each_scheduler
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_asking_again_for_the_same_epoch_changes_nothing(scheduler: str, values: list[float]) -> None:
    once, twice = (judge(scheduler=scheduler, max_epochs=9) for _ in range(2))
    for number, value in enumerate(values):
        for epoch in (1, 2, 3):
            answers = {twice.goes_on(str(number), epoch, value) for _ in range(2)}
            assert answers == {once.goes_on(str(number), epoch, value)}
    assert [rung.scores for rung in once.rungs] == [rung.scores for rung in twice.rungs]


@each_scheduler
def test_a_trial_that_has_come_past_a_rung_is_not_stopped_there_when_it_tells_of_it_again(scheduler: str) -> None:
    """Its process died in the epoch after the rung, and others have arrived meanwhile."""
    made = judge(scheduler=scheduler, max_epochs=9)
    names = [f"{number:04d}" for number in range(40)]
    passed = [name for name in names if made.goes_on(name, 1, 0.5)]
    for number in range(200):
        made.goes_on(f"better {number}", 1, 0.6 + number / 1000)
    assert passed or made.pauses
    assert all(made.goes_on(name, 1, 0.5) for name in passed)


@each_scheduler
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_same_reports_in_the_same_order_rebuild_the_same_judge(scheduler: str, values: list[float]) -> None:
    def decisions() -> list[bool]:
        made = judge(scheduler=scheduler, max_epochs=9, seed=3)
        return [made.goes_on(f"{number:04d}", 1, value) for number, value in enumerate(values)]

    assert decisions() == decisions()


@each_scheduler
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40, unique=True))
def test_an_objective_in_which_all_are_equal_changes_no_decision(scheduler: str, values: list[float]) -> None:
    one, two = (judge(scheduler=scheduler, max_epochs=9) for _ in range(2))
    for number, value in enumerate(values):
        for epoch in (1, 2, 3):
            assert two.goes_on(str(number), epoch, value, -100.0) == one.goes_on(str(number), epoch, value)
    assert [rung.scores for rung in two.rungs] == [rung.scores for rung in one.rungs]


@each_that_stops
@given(pairs=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([-100.0, -200.0, -400.0])), min_size=1, max_size=40))
def test_whoever_nobody_dominates_is_never_stopped(scheduler: str, pairs: list[tuple[float, float]]) -> None:
    made = judge(scheduler=scheduler, max_epochs=9)
    for number, pair in enumerate(pairs):
        if not made.goes_on(f"{number:04d}", 1, *pair):
            assert any(dominates(other, pair) for other in pairs[:number])


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_small_student_goes_on_beside_more_accurate_large_ones_and_not_beside_better_small_ones(
    scheduler: str,
) -> None:
    made = judge(scheduler=scheduler, max_epochs=9)
    for number in range(12):
        made.goes_on(f"large {number}", 1, 0.9 + number / 1000, -10_000.0)
    assert made.goes_on("small", 1, 0.5, -100.0)
    for number in range(12):
        made.goes_on(f"better small {number}", 1, 0.7 + number / 1000, -100.0)
    assert not made.goes_on("another small", 1, 0.5, -100.0)


@each_scheduler
@given(pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_asking_again_changes_nothing_with_two_objectives_either(
    scheduler: str, pairs: list[tuple[float, float]]
) -> None:
    once, twice = (judge(scheduler=scheduler, max_epochs=9) for _ in range(2))
    for number, pair in enumerate(pairs):
        for epoch in (1, 2, 3):
            answers = {twice.goes_on(str(number), epoch, *pair) for _ in range(2)}
            assert answers == {once.goes_on(str(number), epoch, *pair)}


@each_scheduler
def test_a_further_score_that_is_not_finite_never_goes_on(scheduler: str) -> None:
    made = judge(scheduler=scheduler, max_epochs=9)
    assert [made.goes_on("diverged", epoch, 0.9, math.nan) for epoch in (1, 2)] == [False, False]
    assert all("diverged" not in rung.scores for rung in made.rungs)


def test_hyperband_deals_trials_to_all_brackets_and_the_seed_decides() -> None:
    made, other = (judge(scheduler="hyperband", max_epochs=27, seed=seed) for seed in (0, 1))
    dealt = [made.bracket_of(f"{number:04d}") for number in range(300)]  # type: ignore[attr-defined]
    assert set(dealt) == {0, 1, 2}
    assert dealt.count(0) > dealt.count(1) > dealt.count(2)
    assert dealt != [other.bracket_of(f"{number:04d}") for number in range(300)]  # type: ignore[attr-defined]


def test_a_trial_of_a_higher_bracket_passes_the_rungs_that_its_bracket_leaves_out() -> None:
    made = judge(scheduler="hyperband", max_epochs=9)
    late = next(f"{n:04d}" for n in range(99) if made.bracket_of(f"{n:04d}") == 1)  # type: ignore[attr-defined]
    for number in range(1000, 1040):
        made.goes_on(str(number), 1, 1.0)
    assert made.goes_on(late, 1, 0.0)


def test_the_median_rule_stops_what_never_reached_the_median_of_the_averages() -> None:
    made = judge(scheduler="median", min_epochs=3, max_epochs=9, reduction_factor=3)
    for number in range(4):
        for epoch, score in ((1, 0.2), (2, 0.4), (3, 0.6)):
            assert made.goes_on(str(number), epoch, score)
    assert [made.goes_on("low", epoch, 0.39) for epoch in (1, 2, 3)] == [True, True, False]
    assert [made.goes_on("once", epoch, score) for epoch, score in ((1, 0.41), (2, 0.0), (3, 0.0))] == [True] * 3


@each_that_stops
def test_trials_take_about_as_many_epochs_as_are_expected(scheduler: str) -> None:
    search = SearchConfig(scheduler=scheduler, max_epochs=27)
    played, draw, taken = Scheduler.judge_of(search), random.Random(0), list[int]()
    for number in range(400):
        score = draw.random()
        goes_on = (epoch for epoch in range(1, 28) if epoch == 27 or not played.goes_on(str(number), epoch, score))
        taken.append(next(goes_on))
    expected = Scheduler.of(search).expected_epochs(search)
    assert sum(taken) / len(taken) == pytest.approx(expected, rel=0.15)


def test_what_pauses_is_expected_to_take_as_long_as_what_is_stopped_for_good() -> None:
    asha, promotion = (SearchConfig(scheduler=name, max_epochs=27) for name in ("asha", "promotion"))
    assert Scheduler.of(asha).expected_epochs(asha) == Scheduler.of(promotion).expected_epochs(promotion)
