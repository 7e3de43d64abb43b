import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.space import Space
from distill_tune.tuning.budget import Budget, Reason
from distill_tune.tuning.plan import CONFIRMATION_SHARE, plan_confirmation, search_time_s

CONFIG = Space.parse(
    {"data": {"source": "digits"}, "student": {"family": "mlp"}, "confirm": {"top": 3, "seeds": 5}}
).config


def test_a_budget_of_time_ends_by_itself_and_stays_ended() -> None:
    budget = Budget(10, time_s=60.0)
    assert budget.ended_by is None
    budget.started_s -= 61
    assert budget.ended_by is Reason.TIME
    budget.started_s += 61
    assert budget.ended_by is Reason.TIME


def test_the_first_reason_stays() -> None:
    budget = Budget(10)
    assert (budget.ended_by, budget.deadline_s) == (None, None)
    budget.end(Reason.USER)
    budget.end(Reason.FAILURES)
    assert budget.ended_by is Reason.USER


def test_the_search_leaves_the_confirmation_its_share_of_the_time() -> None:
    assert search_time_s(None) is None
    assert search_time_s(90.0) == pytest.approx(90 * (1 - CONFIRMATION_SHARE))


def test_without_a_budget_of_time_everything_configured_is_confirmed() -> None:
    plan = plan_confirmation(CONFIG, 10, run_s=1e9, left_s=None, places=2)
    assert (plan.top, plan.seeds, plan.num_runs) == (3, 5, 25)


def test_no_more_is_confirmed_than_there_is() -> None:
    assert plan_confirmation(CONFIG, 2, 1.0, None, 1).top == 2


@given(st.floats(0.01, 100), st.floats(0, 2000), st.integers(1, 8))
def test_the_plan_fits_the_time_left_or_is_the_least_there_is(run_s: float, left_s: float, places: int) -> None:
    plan = plan_confirmation(CONFIG, 10, run_s, left_s, places)
    needed_s = -(-plan.num_runs // places) * run_s
    assert needed_s <= left_s or (plan.top, plan.seeds) == (1, 2)


def test_candidates_are_given_up_before_seeds() -> None:
    plans = [plan_confirmation(CONFIG, 10, 1.0, left_s, 1) for left_s in (25, 24, 19, 14, 11, 8, 0)]
    assert [(plan.top, plan.seeds) for plan in plans] == [(3, 5), (2, 5), (1, 5), (1, 4), (1, 3), (1, 2), (1, 2)]
