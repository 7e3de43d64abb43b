"""McNemar's exact test and Holm's correction, against sums by definition, published figures and simulations."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from distill_tune.evaluation.significance import holm, mcnemar, pooled_mcnemar

Answers = NDArray[np.bool_]


def answers(both: int, only_ours: int, only_other: int, neither: int) -> tuple[Answers, Answers]:
    """Two classifiers' hits, with this many items of each kind."""
    ours = np.repeat([True, True, False, False], [both, only_ours, only_other, neither])
    other = np.repeat([True, False, True, False], [both, only_ours, only_other, neither])
    return ours, other


def by_hand(b: int, c: int) -> float:
    """The sum by definition, in exact fractions."""
    tail = sum(Fraction(comb(b + c, k), 2 ** (b + c)) for k in range(min(b, c) + 1))
    return float(min(Fraction(1), 2 * tail))


@given(*[st.integers(0, 60)] * 4)
def test_it_is_the_two_sided_binomial_test_of_the_items_that_one_alone_gets_right(
    a: int, b: int, c: int, d: int
) -> None:
    assume(a + b + c + d)
    p = mcnemar(*answers(a, b, c, d))
    assert p == pytest.approx(by_hand(b, c))
    if b + c:
        assert p == pytest.approx(stats.binomtest(b, b + c).pvalue)


@pytest.mark.parametrize(
    ("b", "c", "p"), [(0, 0, 1.0), (0, 5, 0.0625), (5, 0, 0.0625), (1, 9, 0.021484375), (3, 3, 1.0)]
)
def test_a_p_value_is_twice_the_lesser_tail_of_a_fair_coin(b: int, c: int, p: float) -> None:
    assert mcnemar(*answers(7, b, c, 2)) == pytest.approx(p)


def test_it_does_not_matter_which_is_named_first() -> None:
    ours, other = answers(10, 3, 11, 4)
    assert mcnemar(ours, other) == mcnemar(other, ours)


def test_seeds_are_pooled_by_twice_the_median() -> None:
    pairs = [answers(20, b, c, 22 - b - c) for b, c in [(0, 9), (1, 9), (2, 6)]]
    ours, other = (np.stack(each) for each in zip(*pairs, strict=True))
    assert pooled_mcnemar(ours, other) == pytest.approx(2 * by_hand(1, 9))
    assert pooled_mcnemar(ours[:1], other[:1]) == by_hand(0, 9)
    assert pooled_mcnemar(ours, ours) == 1.0


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0])
def test_of_equally_good_ones_at_most_a_twentieth_is_told_apart_however_alike_the_seeds(shared: float) -> None:
    """Items are equally hard for both configurations; seeds share a part of the luck on each item."""
    random = np.random.default_rng(0)
    told_apart = []
    for _ in range(400):
        common = random.standard_normal((2, 1, 300))
        own = random.standard_normal((2, 5, 300))
        ours, other = (np.sqrt(shared) * common + np.sqrt(1 - shared) * own) > -1
        told_apart.append(pooled_mcnemar(ours, other) < 0.05)
    assert np.mean(told_apart) <= 0.06


def test_a_real_difference_is_found() -> None:
    random = np.random.default_rng(0)
    ours, other = random.random((5, 2000)) < 0.9, random.random((5, 2000)) < 0.85
    assert pooled_mcnemar(ours, other) < 0.01


@pytest.mark.parametrize("shapes", [((2, 5), (2, 6)), ((5,), (5,)), ((0, 5), (0, 5))])
def test_unpaired_results_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"equal shapes \[seeds, items\]"):
        pooled_mcnemar(*(np.zeros(shape, dtype=bool) for shape in shapes))


def test_holm_on_the_textbook_example() -> None:
    """Four p-values, against R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(found) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("given_", "expected"), [({}, {}), ({"a": 0.3}, {"a": 0.3}), ({"a": 0.6, "b": 0.7}, {"a": 1.0, "b": 1.0})]
)
def test_holm_of_few(given_: dict[str, float], expected: dict[str, float]) -> None:
    assert holm(given_) == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_stepping_down_rejects(values: list[float]) -> None:
    """Holm's procedure as he wrote it, at several levels."""
    corrected = holm({str(i): p for i, p in enumerate(values)})
    for level in (0.01, 0.05, 0.3):
        rejected, order = set(), sorted(range(len(values)), key=lambda i: values[i])
        for step, i in enumerate(order):
            if (len(values) - step) * values[i] > level:
                break
            rejected.add(str(i))
        assert rejected == {name for name, p in corrected.items() if p <= level}
