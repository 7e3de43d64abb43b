"""Made-up rows to split, many of them copies of one another."""

import numpy as np
import pandas as pd
from hypothesis import assume
from hypothesis import strategies as st

from distill_tune.data.raw import RawTable
from distill_tune.data.splits import Fold, Rows, split_rows
from distill_tune.errors import DataError

SHARES = st.floats(0.05, 0.6)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def tables(draw: st.DrawFn, torn: bool = False, least: int = 3) -> RawTable:
    """Rows that are copies of few or many distinct ones; with `torn`, copies may differ in label."""
    classes = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.lists(st.integers(1, 4), min_size=least, max_size=25), min_size=classes, max_size=classes))
    groups = [(label, size) for label, counts in enumerate(sizes) for size in counts]
    value = np.repeat(np.arange(len(groups)), [size for _, size in groups])
    labels = np.repeat([label for label, _ in groups], [size for _, size in groups])
    order = np.random.default_rng(draw(SEEDS)).permutation(len(value))
    if torn:
        flips = np.random.default_rng(draw(SEEDS)).random(len(labels)) < 0.1
        labels = np.where(flips, (labels + 1) % classes, labels)
    frame = pd.DataFrame({"value": value[order], "other": value[order] * 0.5})
    return RawTable(frame=frame, labels=labels[order], classes=tuple("abcde"[:classes]), where="made up")


def split_or_skip(raw: RawTable, validation: float, test: float | None, seed: int, fold: Fold | None = None) -> Rows:
    try:
        return split_rows(raw, validation, test, seed, fold)
    except DataError:
        assume(False)
        raise
