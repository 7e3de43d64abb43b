"""The bootstrap interval: against SciPy, against a loop over tables drawn cell by cell, and its coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from distill_tune.evaluation.bootstrap import bootstrap_difference, resampled
from distill_tune.evaluation.intervals import paired_difference

Table = NDArray[np.bool_]


def pair(
    random: np.random.Generator, items: int, seed_luck: float, item_luck: float, own: float, seeds: int = 5
) -> tuple[Table, Table, float]:
    """Two students' results on the same seeds and items, and the true difference of their accuracies.

    A student is right if quality + item luck + seed luck + residual > 0, all but the quality Gaussian;
    `own` scales what a seed does to each student separately.
    """
    common = item_luck * random.standard_normal(items) + seed_luck * random.standard_normal((seeds, 1))
    ours, other = (
        quality + common + own * random.standard_normal((seeds, 1)) + random.standard_normal((seeds, items)) > 0
        for quality in (1.5, 1.4)
    )
    deviation = (1 + seed_luck**2 + item_luck**2 + own**2) ** 0.5
    better, worse = stats.norm.cdf(np.array([1.5, 1.4]) / deviation)
    return ours, other, float(better - worse)


def coverage(items: int, seed_luck: float, item_luck: float, own: float, seeds: int = 5) -> float:
    """Share of 400 simulated intervals that contain the true difference."""
    random, hits = np.random.default_rng(1), 0
    for number in range(400):
        ours, other, truth = pair(random, items, seed_luck, item_luck, own, seeds)
        interval = bootstrap_difference(ours, other, resamples=500, seed=number)
        hits += interval.low <= truth <= interval.high
    return hits / 400


@pytest.mark.parametrize(
    ("items", "seed_luck", "item_luck", "own"),
    [(250, 0.0, 0.0, 0.0), (250, 0.1, 2.0, 0.0), (250, 0.05, 4.0, 0.2), (250, 0.3, 1.0, 0.5), (2000, 0.0, 0.0, 0.2)],
)
def test_the_interval_covers_the_true_difference_whichever_luck_rules(
    items: int, seed_luck: float, item_luck: float, own: float
) -> None:
    assert 0.93 <= coverage(items, seed_luck, item_luck, own) <= 0.99


def test_percentiles_of_the_same_resamples_would_not_cover() -> None:
    """Why the errors are needed: with five seeds' luck dominant, and with neither luck."""
    for own, low, high in [(0.5, 0.0, 0.9), (0.0, 0.985, 1.0)]:
        random, hits = np.random.default_rng(1), 0
        for number in range(400):
            ours, other, truth = pair(random, 400, 0.0, 0.0, own)
            means, _ = resampled(ours * 1.0 - other, 500, np.random.default_rng(number))
            hits += bool(np.quantile(means, 0.025) <= truth <= np.quantile(means, 0.975))
        assert low <= hits / 400 <= high


def test_two_seeds_leave_a_known_gap_in_the_coverage() -> None:
    """Half of the resamples contain only one of them, as `bootstrap.py` says."""
    assert 0.82 <= coverage(250, 0.0, 0.0, 0.2, seeds=2) <= 0.92


def test_it_is_the_interval_of_tables_drawn_cell_by_cell() -> None:
    """The definition as a loop, without weights, kinds of items or blocks."""
    ours, other, _ = pair(np.random.default_rng(2), 120, 0.1, 1.0, 0.3, seeds=4)
    table = ours.astype(np.float64) - other
    random, distances = np.random.default_rng(3), []

    def error(values: NDArray[np.float64], seeds: int, items: int) -> float:
        seeds_part = values.mean(1).var() * len(values) / (len(values) - 1) / seeds
        return float((seeds_part + values.mean(0).var(ddof=1) / items + 1 / items**2) ** 0.5)

    for _ in range(4000):
        again = table[random.integers(0, 4, 4)][:, random.integers(0, 120, 120)]
        distances.append(abs(again.mean() - table.mean()) / error(again, 4, 120))
    half = np.quantile(distances, 0.95) * error(table, 4, 120)
    interval = bootstrap_difference(ours, other, resamples=4000)
    assert interval.high - interval.mean == pytest.approx(half, rel=0.05)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.05)


def test_seeds_that_are_all_alike_are_the_bootstrap_of_one_sample() -> None:
    ours, other, _ = pair(np.random.default_rng(4), 300, 0.0, 0.0, 0.0, seeds=2)
    table = np.tile(ours[0] * 1.0 - other[0], (5, 1))
    means, errors = resampled(table, 6000, np.random.default_rng(5))
    scipys = stats.bootstrap(
        (table[0],), np.mean, n_resamples=6000, method="percentile", rng=np.random.default_rng(6), vectorized=True
    )
    assert means.std(ddof=1) == pytest.approx(scipys.standard_error, rel=0.05)
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx(list(scipys.confidence_interval), abs=0.005)
    assert errors.mean() == pytest.approx(stats.sem(table[0]), rel=0.02)


def test_what_is_drawn_in_blocks_is_one_sample_of_resamples() -> None:
    """With many seeds, nearly every item is its own kind, and the resamples do not fit into one block."""
    table = np.random.default_rng(7).integers(-1, 2, (12, 2000)).astype(float)
    means, errors = resampled(table, 2500, np.random.default_rng(8))
    assert means.shape == errors.shape == (2500,)
    assert means.mean() == pytest.approx(table.mean(), abs=0.001)
    assert len(np.unique(means)) > 2000


def test_it_is_near_the_interval_that_decides_the_word_where_both_know_enough() -> None:
    ours, other, _ = pair(np.random.default_rng(9), 3000, 0.1, 2.0, 0.2, seeds=20)
    drawn, computed = bootstrap_difference(ours, other), paired_difference(ours, other)
    assert drawn.mean == computed.mean
    assert 0.85 < (drawn.high - drawn.low) / (computed.high - computed.low) < 1.1


def test_the_same_seed_gives_the_same_interval_and_another_one_nearly() -> None:
    ours, other, _ = pair(np.random.default_rng(10), 500, 0.1, 2.0, 0.1)
    first = bootstrap_difference(ours, other)
    assert first == bootstrap_difference(ours, other)
    second = bootstrap_difference(ours, other, seed=1)
    assert second != first
    assert second.low == pytest.approx(first.low, abs=0.1 * (first.high - first.low))


def test_two_that_answer_alike_differ_by_what_the_test_set_cannot_show() -> None:
    table = np.random.default_rng(11).random((5, 100)) < 0.8
    assert bootstrap_difference(table, table) == paired_difference(table, table)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_items_that_differ_give_an_interval_of_a_few_items(count: int) -> None:
    """Some resamples contain none of them, and no error to measure in."""
    ours, other = np.ones((5, 360), dtype=bool), np.ones((5, 360), dtype=bool)
    other[:, :count] = False
    interval = bootstrap_difference(ours, other)
    assert -5 / 360 < interval.low < interval.mean < interval.high < 12 / 360


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 40), st.floats(0, 1), st.floats(0, 1))
def test_it_holds_the_mean_stays_in_range_and_mirrors(seed: int, seeds: int, items: int, p: float, q: float) -> None:
    random = np.random.default_rng(seed)
    ours, other = random.random((seeds, items)) < p, random.random((seeds, items)) < q
    there, back = (bootstrap_difference(*each, resamples=200) for each in ((ours, other), (other, ours)))
    assert -1 <= there.low <= there.mean <= there.high <= 1
    assert there.low < there.high
    assert there.mean == pytest.approx(ours.mean() - other.mean())
    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)


@pytest.mark.parametrize("shape", [(1, 50), (5, 1), (50,)])
def test_a_single_seed_or_item_gives_no_interval(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two of each"):
        bootstrap_difference(np.ones(shape, dtype=bool), np.ones(shape, dtype=bool))


def test_unpaired_results_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        bootstrap_difference(np.ones((5, 10), dtype=bool), np.ones((1, 10), dtype=bool))


def test_an_input_that_is_there_several_times_is_drawn_as_one() -> None:
    ours, other, _ = pair(np.random.default_rng(13), 60, 0.1, 1.0, 0.1)
    index = np.tile(np.arange(60), 5)
    once = bootstrap_difference(ours, other)
    again = bootstrap_difference(ours[:, index], other[:, index], groups=index)
    assert (again.low, again.high) == pytest.approx((once.low, once.high), abs=1e-9)
