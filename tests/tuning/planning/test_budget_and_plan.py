import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.searching import SearchConfig
from distill_tune.config.space import Space
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.planning.time_budget import CONFIRMATION_SHARE, Times, affordable_epochs, plan_confirmation
from distill_tune.tuning.state.plan import ConfirmationPlan

CONFIG = Space.parse(
    {"data": {"source": "digits"}, "student": {"family": "mlp"}, "confirm": {"top": 3, "seeds": 5}}
).config


def test_a_budget_of_time_ends_by_itself_and_stays_ended() -> None:
    budget = Budget(10, time_s=60.0)
    assert budget.ended_by is None
    budget.spent_s = 61
    budget.end(Reason.TRIALS)
    assert budget.ended_by is Reason.TIME


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> float:
    """A frozen time, in seconds since 1970."""
    monkeypatch.setattr(time, "time", lambda: 1e9)
    monkeypatch.setattr(time, "monotonic", lambda: 500.0)
    return 1e9


def test_time_is_counted_from_the_first_step(now_s: float) -> None:
    budget = Budget(10, time_s=60.0, _made_s=now_s - 100, _made_monotonic_s=400.0)
    assert budget.used_s == 0.0
    budget.begin(now_s - 70)
    budget.begin(now_s)
    assert budget.used_s == 70
    assert budget.ended_by is Reason.TIME


def test_a_machine_that_is_suspended_in_its_first_epoch_uses_no_time_meanwhile(now_s: float) -> None:
    """Its monotonic clock stands still, unlike the time of day."""
    budget = Budget(10, time_s=60.0, _made_s=now_s - 8 * 3600, _made_monotonic_s=470.0)
    budget.begin(now_s - 7 * 3600)
    assert (budget.used_s, budget.ended_by) == (30, None)


def test_steps_of_an_earlier_session_are_no_time_of_this_one(now_s: float) -> None:
    budget = Budget(10, time_s=60.0, spent_s=10.0, _made_s=now_s, _made_monotonic_s=500.0)
    budget.begin(now_s - 1e6)
    assert budget.used_s == 10


def test_the_first_reason_stays_but_the_users_wish_outranks_all() -> None:
    budget = Budget(10)
    assert (budget.ended_by, budget.left_s) == (None, None)
    budget.end(Reason.TARGET)
    budget.end(Reason.FAILURES)
    assert budget.ended_by is Reason.TARGET
    budget.interrupt.requested = True
    assert budget.ended_by is Reason.USER


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"epochs": 40}, Reason.EPOCHS),
        ({"target": 0.9}, Reason.TARGET),
        ({"patience": 5}, Reason.PATIENCE),
        ({"epochs": 41, "target": 0.91, "patience": 6}, None),
    ],
)
def test_every_budget_ends_the_search_when_it_is_reached(bounds: dict[str, Any], reason: Reason | None) -> None:
    budget = Budget(10, **bounds)
    budget.note(epochs=40, merit=0.9, trials_without_better=5)
    assert budget.ended_by is reason


def test_the_search_leaves_the_confirmation_its_share_of_the_time() -> None:
    assert Times.of(SearchConfig()) == Times(None, None)
    assert Times.of(SearchConfig(time="90s")) == Times(90.0, pytest.approx(90 * (1 - CONFIRMATION_SHARE)))


def test_without_a_budget_of_time_everything_configured_is_confirmed() -> None:
    plan = plan_confirmation(CONFIG, [1e9] * 10, left_s=None, places=2)
    assert (plan.top, plan.seeds, plan.num_runs) == (3, 5, 30)


def test_no_more_is_planned_to_be_confirmed_than_there_will_be() -> None:
    one = CONFIG.model_copy(update={"search": CONFIG.search.model_copy(update={"trials": 1})})
    assert (ConfirmationPlan.of(CONFIG).top, ConfirmationPlan.of(one).top) == (3, 1)
    assert ConfirmationPlan.of(one).num_runs == 5 + 2 * 5


def test_no_more_is_confirmed_than_there_is() -> None:
    assert plan_confirmation(CONFIG, [1.0, 1.0], None, 1).top == 2


@given(st.floats(0.01, 100), st.floats(0, 2000), st.integers(1, 8), st.floats(0, 20))
def test_the_plan_fits_the_time_left_or_is_the_least_there_is(
    run_s: float, left_s: float, places: int, examination_s: float
) -> None:
    plan = plan_confirmation(CONFIG, [run_s] * 10, left_s, places, examination_s)
    chosen_among, judged = plan.top * plan.seeds, (2 + (plan.top > 1)) * plan.seeds  # one stage after the other
    assert plan.num_runs == chosen_among + judged
    needed_s = (-(-chosen_among // places) - (-judged // places)) * run_s + 3 * plan.seeds * examination_s
    assert needed_s <= left_s or (plan.top, plan.seeds) == (1, 2)


def test_examinations_that_take_long_cost_seeds_and_epochs() -> None:
    plans = [plan_confirmation(CONFIG, [1.0] * 10, 60.0, 1, examination_s) for examination_s in (0.0, 4.0, 8.0)]
    assert [(plan.top, plan.seeds) for plan in plans] == [(3, 5), (1, 4), (1, 2)]
    epochs = [affordable_epochs(CONFIG, 1.0, 300.0, 1, examination_s) for examination_s in (0.0, 8.0, 1e3)]
    assert epochs == [16, 8, 3]


def test_candidates_are_given_up_before_seeds() -> None:
    plans = [plan_confirmation(CONFIG, [1.0] * 10, left_s, 1) for left_s in (30, 29, 24, 14, 11, 8, 0)]
    assert [(plan.top, plan.seeds) for plan in plans] == [(3, 5), (2, 5), (1, 5), (1, 4), (1, 3), (1, 2), (1, 2)]


def test_the_slowest_candidate_of_a_plan_decides_whether_there_is_time_for_it() -> None:
    plans = [plan_confirmation(CONFIG, runs_s, 30, 1) for runs_s in ([1, 1, 1], [1, 1, 2], [1, 2, 1], [0.5, 1, 1])]
    assert [(plan.top, plan.seeds) for plan in plans] == [(3, 5), (2, 5), (1, 5), (3, 5)]
