"""Learning-rate schedules: their ends, and what lies between."""

from itertools import pairwise

import pytest

from distill_tune.distillation.schedule import rate_share

SCHEDULES = ["constant", "cosine", "one_cycle", "step"]
STEPS = 1000


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total", [1, 2, 3, 10, 997])
def test_a_rate_is_positive_and_at_most_what_is_configured(schedule: str, total: int) -> None:
    assert all(0 < rate_share(schedule, step, total) <= 1 for step in range(total))


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [("constant", 1.0, 1.0), ("cosine", 1.0, 0.0), ("one_cycle", 0.04, 0.0), ("step", 1.0, 0.01)],
)
def test_a_schedule_begins_and_ends_where_it_should(schedule: str, first: float, last: float) -> None:
    assert rate_share(schedule, 0, STEPS) == pytest.approx(first)
    assert rate_share(schedule, STEPS - 1, STEPS) == pytest.approx(last, abs=2e-4)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_a_rate_that_only_falls_never_rises(schedule: str) -> None:
    rates = [rate_share(schedule, step, STEPS) for step in range(STEPS)]
    assert rates == sorted(rates, reverse=True)


def test_one_cycle_rises_to_its_peak_at_three_tenths_and_falls_from_there() -> None:
    rates = [rate_share("one_cycle", step, STEPS) for step in range(STEPS)]
    assert rates.index(max(rates)) == 300
    assert max(rates) == 1
    assert rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_smooth_schedule_has_no_jumps(schedule: str) -> None:
    rates = [rate_share(schedule, step, STEPS) for step in range(STEPS)]
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.006


def test_steps_come_at_six_and_eight_tenths() -> None:
    rates = {step: rate_share("step", step, STEPS) for step in (599, 600, 799, 800)}
    assert rates == {599: 1.0, 600: pytest.approx(0.1), 799: pytest.approx(0.1), 800: pytest.approx(0.01)}
