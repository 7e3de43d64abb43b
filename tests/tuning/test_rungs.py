import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.sections import SearchConfig
from distill_tune.tuning.rungs import Rungs, rungs_of

scores = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_rungs_are_a_geometric_ladder_below_the_full_budget() -> None:
    assert [rung.epochs for rung in Rungs(1, 27, 3).rungs] == [1, 3, 9]
    assert [rung.epochs for rung in Rungs(2, 27, 4).rungs] == [2, 8]
    assert Rungs(27, 27, 3).rungs == []


@given(scores)
def test_the_first_to_arrive_go_on_until_there_are_enough_to_compare(values: list[float]) -> None:
    rungs = Rungs(1, 9, 3)
    assert all(rungs.goes_on(str(i), 1, value) for i, value in enumerate(values[:2]))


@given(scores)
def test_a_trial_goes_on_exactly_if_it_is_among_the_best_third_of_those_that_have_arrived(values: list[float]) -> None:
    rungs = Rungs(1, 9, 3)
    for i, value in enumerate(values):
        kept = rungs.goes_on(str(i), 1, value)
        arrived = sorted(values[: i + 1], reverse=True)
        keep = len(arrived) // 3
        assert kept == (keep == 0 or value >= arrived[keep - 1])


@given(scores)
def test_the_best_so_far_always_goes_on(values: list[float]) -> None:
    rungs = Rungs(1, 9, 2)
    for i, value in enumerate(values):
        if rungs.goes_on(str(i), 1, value) is False:
            assert value < max(values[: i + 1])


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_never_goes_on_and_never_counts(score: float) -> None:
    rungs = Rungs(1, 9, 2)
    assert not rungs.goes_on("diverged", 1, score)
    assert not rungs.goes_on("diverged", 2, score)
    assert rungs.rungs[0].scores == {}


def test_between_rungs_every_trial_goes_on() -> None:
    rungs = Rungs(1, 9, 3)
    for trial in range(9):
        rungs.goes_on(str(trial), 1, 1.0 - trial / 10)
    assert rungs.goes_on("8", 2, 0.0)


def test_without_a_scheduler_no_trial_is_stopped() -> None:
    rungs = rungs_of(SearchConfig(scheduler="none"))
    assert all(rungs.goes_on(str(i), epoch, -i) for i in range(9) for epoch in range(1, 28))
    assert not rungs.goes_on("diverged", 3, math.nan)
