"""Intervals: their coverage, their edge cases, and the word for them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from distill_tune.evaluation.intervals import Interval, mean_interval, p_value, paired_difference
from distill_tune.evaluation.verdict import Word, judge

Table = NDArray[np.bool_]

SEEDS, ITEMS = 5, 250


def tables(
    random: np.random.Generator,
    quality: tuple[float, ...],
    seed_luck: float,
    item_luck: float,
    own: float = 0.0,
) -> tuple[list[Table], list[float]]:
    """Results of students on the same seeds and items, and the true accuracy of each student.

    A student is right if quality + item luck + seed luck + residual > 0, all but the quality
    Gaussian; `own` scales what a seed does to each student separately.
    """
    items = item_luck * random.standard_normal(ITEMS)
    seeds = seed_luck * random.standard_normal((SEEDS, 1))
    results = [
        q + items + seeds + own * random.standard_normal((SEEDS, 1)) + random.standard_normal((SEEDS, ITEMS)) > 0
        for q in quality
    ]
    deviation = (1 + seed_luck**2 + item_luck**2 + own**2) ** 0.5
    return results, [float(stats.norm.cdf(q / deviation)) for q in quality]


def coverage(accuracy: float, seed_luck: float, item_luck: float) -> float:
    """Share of 1500 simulated intervals that contain the true `accuracy`."""
    random = np.random.default_rng(0)
    quality = float(stats.norm.ppf(accuracy)) * (1 + seed_luck**2 + item_luck**2) ** 0.5
    intervals = [mean_interval(tables(random, (quality,), seed_luck, item_luck)[0][0]) for _ in range(1500)]
    return sum(interval.low <= accuracy <= interval.high for interval in intervals) / len(intervals)


LUCK = [(0.0, 0.0), (0.1, 2.0), (0.3, 1.0), (0.05, 4.0), (0.5, 3.0)]


@pytest.mark.parametrize(("seed_luck", "item_luck"), LUCK)
@pytest.mark.parametrize("accuracy", [0.8, 0.93, 0.985])
def test_the_interval_of_an_accuracy_covers_the_true_one(accuracy: float, seed_luck: float, item_luck: float) -> None:
    assert coverage(accuracy, seed_luck, item_luck) >= 0.93


def test_seeds_that_differ_by_many_points_leave_a_known_gap_in_the_coverage() -> None:
    """Five draws from a lopsided distribution, which no formula mends, as `intervals.py` says."""
    assert 0.9 <= coverage(0.93, 0.5, 0.0) <= 0.95


@pytest.mark.parametrize(("seed_luck", "item_luck"), LUCK)
@pytest.mark.parametrize("own", [0.0, 0.2])
def test_the_interval_of_a_difference_covers_the_true_one(seed_luck: float, item_luck: float, own: float) -> None:
    random = np.random.default_rng(1)
    hits, wrong = 0, 0
    for _ in range(1500):
        (ours, other), (our_truth, other_truth) = tables(random, (1.5, 1.4), seed_luck, item_luck, own)
        interval = paired_difference(ours, other)
        hits += interval.low <= our_truth - other_truth <= interval.high
        wrong += judge(paired_difference(other, ours)) is Word.BEATS
    assert hits / 1500 >= 0.93
    assert wrong / 1500 <= 0.025


def test_a_real_difference_is_found() -> None:
    random = np.random.default_rng(2)
    words = []
    for _ in range(100):
        (ours, other), _ = tables(random, (2.4, 1.4), 0.1, 2.0)
        words.append(judge(paired_difference(ours, other)))
    assert words.count(Word.BEATS) >= 90


def test_pairing_makes_the_interval_narrower() -> None:
    (ours, other), _ = tables(np.random.default_rng(3), (1.5, 1.3), 0.3, 3.0)
    paired, alone = paired_difference(ours, other), mean_interval(ours)
    assert paired.high - paired.low < alone.high - alone.low


def test_two_seeds_are_little_to_go_by_and_the_interval_says_so() -> None:
    table = np.random.default_rng(4).random((2, 2000)) < np.array([[0.9], [0.8]])
    interval = mean_interval(table)
    assert interval.low < 0.4
    assert 0.95 < interval.high < 1


def test_one_source_of_luck_alone_gives_the_textbook_interval() -> None:
    seeds = np.tile(np.random.default_rng(5).random(400) < 0.8, (4, 1))
    nothing = np.zeros_like(seeds)
    expected = stats.t.interval(0.95, 399, seeds[0].mean(), stats.sem(seeds[0]))
    interval = paired_difference(seeds, nothing)
    assert (interval.low, interval.high) == pytest.approx(expected)
    accuracy = mean_interval(seeds)
    assert (accuracy.low, accuracy.high) == pytest.approx(expected, abs=0.005)
    wilson = stats.binomtest(int(seeds[0].sum()), 400).proportion_ci(0.95, "wilson")
    assert (accuracy.low, accuracy.high) == pytest.approx((wilson.low, wilson.high), abs=0.002)


@pytest.mark.parametrize("value", [False, True])
def test_an_accuracy_without_any_variance_is_not_known_for_certain(value: bool) -> None:
    interval = mean_interval(np.full((5, 100), value))
    exact = stats.binomtest(100 * value, 100).proportion_ci(0.95, "exact")
    assert interval.mean == value
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))


def test_two_that_answer_alike_differ_by_nought_give_or_take_what_the_test_set_cannot_show() -> None:
    table = np.random.default_rng(6).random((5, 100)) < 0.8
    interval = paired_difference(table, table)
    assert interval.mean == 0
    assert -0.05 < interval.low < 0 < interval.high < 0.05
    assert judge(interval) is Word.INCONCLUSIVE


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 40), st.floats(0, 1), st.floats(0, 1))
def test_intervals_hold_their_mean_and_stay_in_range(seed: int, seeds: int, items: int, p: float, q: float) -> None:
    random = np.random.default_rng(seed)
    ours, other = random.random((seeds, items)) < p, random.random((seeds, items)) < q
    interval = mean_interval(ours)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    difference = paired_difference(ours, other)
    assert -1 <= difference.low <= difference.mean <= difference.high <= 1
    assert difference.mean == pytest.approx(ours.mean() - other.mean())
    assert difference.low < difference.high


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_the_other_way_round_is_the_mirror_image(seed: int, p: float, q: float) -> None:
    random = np.random.default_rng(seed)
    ours, other = random.random((3, 30)) < p, random.random((3, 30)) < q
    there, back = paired_difference(ours, other), paired_difference(other, ours)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    mirrored = {
        Word.BEATS: Word.DOES_NOT_BEAT,
        Word.DOES_NOT_BEAT: Word.BEATS,
        Word.INCONCLUSIVE: Word.INCONCLUSIVE,
    }
    assert judge(there) is mirrored[judge(back)]


def test_more_confidence_is_a_wider_interval() -> None:
    ours, other = np.random.default_rng(7).random((2, 5, 300)) < 0.8
    some, more, most = (paired_difference(ours, other, confidence) for confidence in (0.8, 0.95, 0.99))
    assert most.low < more.low < some.low < some.high < more.high < most.high


@pytest.mark.parametrize("shape", [(1, 50), (5, 1), (50,)])
def test_a_single_seed_or_item_gives_no_interval(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two of each"):
        mean_interval(np.ones(shape, dtype=bool))


def test_unpaired_results_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        paired_difference(np.ones((5, 10), dtype=bool), np.ones((1, 10), dtype=bool))


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        (Interval(0.02, 0.01, 0.03), "BEATS"),
        (Interval(-0.02, -0.03, -0.01), "DOES NOT BEAT"),
        (Interval(0.01, -0.01, 0.03), "INCONCLUSIVE"),
        (Interval(0.01, 0.0, 0.02), "INCONCLUSIVE"),
        (Interval(-0.01, -0.02, 0.0), "INCONCLUSIVE"),
        (Interval(0.0, 0.0, 0.0), "INCONCLUSIVE"),
        (Interval(float("nan"), float("nan"), float("nan")), "INCONCLUSIVE"),
    ],
)
def test_the_word_follows_the_interval(interval: Interval, word: str) -> None:
    assert judge(interval) == word


@given(
    seed=st.integers(0, 10_000),
    better=st.floats(-0.6, 0.6),
    shape=st.tuples(st.integers(2, 6), st.integers(2, 60)),
    confidence=st.sampled_from([0.5, 0.8, 0.95, 0.99]),
)
def test_a_p_value_is_below_what_an_interval_leaves_out_just_where_it_leaves_0_out(
    seed: int, better: float, shape: tuple[int, int], confidence: float
) -> None:
    random = np.random.default_rng(seed)
    ours, other = random.random(shape) < 0.5 + better / 2, random.random(shape) < 0.5 - better / 2
    interval, found = paired_difference(ours, other, confidence), p_value(ours, other)
    assert 0 <= found <= 1
    assert found == p_value(other, ours)
    if abs(found - (1 - confidence)) > 1e-9:
        assert (found < 1 - confidence) == (interval.low > 0 or interval.high < 0)


def test_students_that_answer_alike_have_a_p_value_of_1_and_opposite_ones_nearly_none() -> None:
    right = np.ones((2, 20), dtype=bool)
    assert p_value(right, right) == 1.0
    assert p_value(right, ~right) < 1e-9


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_few_seeds_are_covered_too_where_their_luck_rules(seeds: int) -> None:
    """Welch-Satterthwaite degrees alone cover 89 % with two seeds, and say BEATS by luck in 5 %."""
    random, hits, wrong = np.random.default_rng(13), 0, 0
    for _ in range(1000):
        common = random.standard_normal(2000)
        ours, other = (
            1.0 + common + 0.1 * random.standard_normal((seeds, 1)) + random.standard_normal((seeds, 2000)) > 0
            for _ in range(2)
        )
        difference = paired_difference(ours, other)
        hits += difference.low <= 0 <= difference.high
        wrong += judge(difference) is Word.BEATS
    assert hits / 1000 >= 0.94
    assert wrong / 1000 <= 0.03


@pytest.mark.parametrize("seeds", [2, 5])
def test_an_input_that_is_there_several_times_is_one_item(seeds: int) -> None:
    random = np.random.default_rng(14)
    ours, other = (np.tile(random.random(40) < share, (seeds, 1)) for share in (0.8, 0.6))
    ours[0, :2], other[1, 3] = ~ours[0, :2], ~other[1, 3]
    index = np.tile(np.arange(40), 5)
    once, again = paired_difference(ours, other), paired_difference(ours[:, index], other[:, index], groups=index)
    assert (again.mean, again.low, again.high) == pytest.approx((once.mean, once.low, once.high))
    alone, twice = mean_interval(ours), mean_interval(ours[:, index], groups=index)
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high))
    assert p_value(ours[:, index], other[:, index], index) == pytest.approx(p_value(ours, other))
    apart = paired_difference(ours[:, index], other[:, index])
    assert apart.high - apart.low < 0.7 * (once.high - once.low)


def test_groups_of_different_sizes_are_covered() -> None:
    random, hits = np.random.default_rng(15), 0
    groups = np.repeat(np.arange(300), random.integers(1, 6, 300))
    for _ in range(1000):
        right = 1.0 + 2.0 * random.standard_normal(300)[groups] + 0.3 * random.standard_normal((5, len(groups))) > 0
        interval = mean_interval(right, groups=groups)
        hits += interval.low <= stats.norm.cdf(1.0 / 4.09**0.5) <= interval.high
    assert 0.93 <= hits / 1000 <= 0.98


def test_items_that_are_all_one_input_count_by_themselves() -> None:
    table = np.random.default_rng(16).random((5, 30)) < 0.8
    assert mean_interval(table, groups=np.zeros(30, dtype=int)) == mean_interval(table)
