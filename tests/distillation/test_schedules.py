"""Schedules of the learning rate, the temperature and the weight: their ends, and the values in between."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.distillation.schedule import between, rate_share

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


VALUES = st.floats(0.1, 20)
PROGRESS = st.floats(0, 1)
WAYS = st.sampled_from(["linear", "cosine"])


@given(VALUES, VALUES, WAYS, PROGRESS, PROGRESS)
def test_a_value_goes_from_its_start_to_its_end_and_never_back(
    start: float, end: float, way: str, one: float, other: float
) -> None:
    assert between(start, end, way, 0.0) == start
    assert between(start, end, way, 1.0) == pytest.approx(end)
    early, late = (between(start, end, way, progress) for progress in sorted((one, other)))
    assert abs(end - late) <= abs(end - early) + 1e-12
    assert min(start, end) - 1e-12 <= early <= max(start, end) + 1e-12


@given(VALUES, WAYS, PROGRESS)
def test_a_value_without_an_end_stays(start: float, way: str, progress: float) -> None:
    assert between(start, None, way, progress) == start


def test_a_line_is_even_and_a_cosine_slow_at_both_ends() -> None:
    quarters, halves = [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.146447, 0.5, 0.853553, 1.0]
    assert [between(8.0, 4.0, "linear", at) for at in quarters] == pytest.approx([8.0, 7.0, 6.0, 5.0, 4.0])
    assert [between(0.0, 1.0, "cosine", at) for at in quarters] == pytest.approx(halves, abs=1e-6)
