"""The random numbers behind views are uniform and independent of each other."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from distill_tune.distillation.augmentation import Draw


@pytest.mark.parametrize("columns", [1, 5])
def test_numbers_of_columns_are_uniform_and_independent_of_each_other(columns: int) -> None:
    numbers = Draw(0, 0, torch.arange(20_000)).below(16, "noise", columns).numpy()
    assert numbers.shape == (20_000, columns)
    for column in numbers.T:
        assert stats.chisquare(np.bincount(column, minlength=16)).pvalue > 1e-4
    for left, right in zip(numbers.T, numbers.T[1:], strict=False):
        for one, other in ((left, right), (left[1:], right[:-1])):
            table = np.histogram2d(one, other, bins=8)[0]
            assert stats.chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_numbers_are_uniform(seed: int) -> None:
    numbers = Draw(seed, 3, torch.arange(100_000)).uniform("flip").numpy()
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert numbers.max() < 1


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_integers_below_a_count_are_uniform(count: int) -> None:
    numbers = Draw(0, 0, torch.arange(100_000)).below(count, "partner").numpy()
    assert numbers.min() >= 0
    assert len(counts := np.bincount(numbers)) == count
    assert count == 1 or stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        Draw(0, 0, torch.arange(50_000)).uniform("other stream"),
        Draw(0, 1, torch.arange(50_000)).uniform("stream"),
        Draw(1, 0, torch.arange(50_000)).uniform("stream"),
        Draw(0, 0, torch.arange(1, 50_001)).uniform("stream"),
        Draw(1, 0, torch.arange(1, 50_001)).uniform("stream"),
    ],
    ids=["stream", "view", "seed", "next sample", "next sample of another seed"],
)
def test_numbers_of_different_keys_are_independent(other: Tensor) -> None:
    one = Draw(0, 0, torch.arange(50_000)).uniform("stream")
    table = np.histogram2d(one.numpy(), other.numpy(), bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3
