"""Train, validation and test rows, stratified by class, with equal inputs on one side.

Rows with the same inputs form a group, and whole groups are dealt out: a test row that was also trained on measures
memory. A group with several labels stays together. The seed determines everything. Rows without a label are all in
train, except those equal to a row of another split.

With folds there is no single validation split: the non-test rows are dealt into folds, and each is the validation rows
of one split. The split of all folds trains on all non-test rows; its validation rows, the first fold, are among them
and measure nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distill_tune.data.dataset import UNLABELLED
from distill_tune.data.dealing import deal, deal_folds, pairs, strata
from distill_tune.data.raw import Ints, Raw
from distill_tune.errors import DataError

DEFAULT_TEST = 0.2
ATTEMPTS = 100
"""Attempts at a valid split; the first always succeeds if equal inputs have equal labels."""


@dataclass(frozen=True)
class Rows:
    """Row numbers of each split, ascending; disjoint, except that the split of all folds validates on training rows."""

    train: Ints
    validation: Ints
    test: Ints
    notes: tuple[str, ...] = ()
    of_all_folds: bool = False
    """Whether this is the split of all folds, each labelled row of which one fold validates on (see the module)."""


@dataclass(frozen=True)
class Fold:
    """A fold to validate on, of how many."""

    folds: int
    number: int | None = None
    """Counted from 0; None trains on all of them."""


def split_rows(raw: Raw, validation: float, test: float | None, seed: int, fold: Fold | None = None) -> Rows:
    """Deal out the rows of `raw`.

    Args:
        raw: the data; its own test split is kept if `test` is None.
        validation: share of the non-test rows; ignored with a fold.
        test: share of all rows; None takes the own test split, or 0.2 if there is none.
        seed: the same seed gives the same split.
        fold: the fold to validate on.

    Raises:
        DataError: a class has too few distinct samples for one in each split, or fold.
    """
    rng, table = np.random.default_rng(seed), _table_of(raw, test, fold)
    for _ in range(ATTEMPTS):
        dealt = _dealt(table, validation, test, fold, rng)
        if all(len(np.unique(raw.labels[side])) == len(raw.classes) for side in dealt.sides):
            return _rows_of(table, dealt, fold)
    raise DataError(
        f"{raw.where}: no split has every class on each side, because too many equal inputs have different "
        "labels; add samples, or columns that tell them apart."
    )


class _Table(NamedTuple):
    """The rows to deal out."""

    raw: Raw
    groups: Ints
    """The group number of every row; equal inputs have the same."""
    rows: Ints
    """The labelled rows, without those of the source's own test split if that is kept."""
    strata: Ints
    """The stratum of every row; see `strata`."""
    own_test: Ints | None
    notes: list[str]


class _Dealt(NamedTuple):
    """One attempt at a split."""

    rest: Ints
    """All but the test rows."""
    test: Ints
    parts: list[Ints]
    """The validation rows: one part, or one per fold."""

    @property
    def sides(self) -> list[Ints]:
        """All sets of rows that a student is trained or measured on."""
        return [*(np.setdiff1d(self.rest, part) for part in self.parts), *self.parts, self.test]


def _table_of(raw: Raw, test: float | None, fold: Fold | None) -> _Table:
    groups = np.unique(raw.row_hashes(), return_inverse=True)[1]
    rows, own_test = np.flatnonzero(raw.labels != UNLABELLED), None
    notes = _said_of_groups(raw.labels[rows], groups[rows])
    if raw.own_test and test is None:
        rows, own_test, said = _own_test(raw, groups, rows)
        notes += said
        _check_enough(raw, groups, own_test, 1, "its own test split needs one")
        least, splits = _each_part(fold) or (2, "training and validation")
        _check_enough(raw, groups, rows, least, f"{splits} need one each")
    else:
        notes += ["the source's own test split was mixed in and drawn anew (data.test)"] if raw.own_test else []
        least, splits = _each_part(fold) or (2, "training, validation")
        _check_enough(raw, groups, rows, least + 1, f"{splits} and test need one each")
    return _Table(raw, groups, rows, strata(raw.labels, groups, rows), own_test, notes)


def _dealt(table: _Table, validation: float, test: float | None, fold: Fold | None, rng: np.random.Generator) -> _Dealt:
    rest, test_rows, by = table.rows, table.own_test, (table.strata, table.groups)
    if test_rows is None:
        stay = 2 if fold is None else fold.folds
        rest, test_rows = deal(rest, *by, test or DEFAULT_TEST, stay, rng)
    if fold is not None:
        return _Dealt(rest, test_rows, deal_folds(rest, *by, fold.folds, rng))
    return _Dealt(rest, test_rows, [deal(rest, *by, validation, 1, rng)[1]])


def _rows_of(table: _Table, dealt: _Dealt, fold: Fold | None) -> Rows:
    """The rows of the requested fold; the split of all folds keeps only the test rows out of training."""
    number = 0 if fold is None or fold.number is None else fold.number
    part, of_all = dealt.parts[number], fold is not None and fold.number is None
    train = dealt.rest if of_all else np.setdiff1d(dealt.rest, part)
    kept_out = np.concatenate([dealt.test, np.setdiff1d(part, train)])
    more, said = _without_label(table.raw, table.groups, kept_out)
    return Rows(np.union1d(train, more), part, dealt.test, (*table.notes, *said), of_all)


def _each_part(fold: Fold | None) -> tuple[int, str] | None:
    """How many distinct samples per class the folds need, and for what."""
    return None if fold is None else (fold.folds, f"{fold.folds} folds (data.folds)")


def _without_label(raw: Raw, groups: Ints, kept_out: Ints) -> tuple[Ints, list[str]]:
    """The unlabelled rows that equal no row kept out of training, and notes about them."""
    rows = np.flatnonzero(raw.labels == UNLABELLED)
    seen = np.isin(groups[rows], groups[kept_out])
    said = [f"{int((~seen).sum()):,} training rows have no label"] if len(rows) else []
    left_out = [f"{int(seen.sum()):,} more equal a validation or test row and are left out"] if seen.any() else []
    return rows[~seen], said + left_out


def _own_test(raw: Raw, groups: Ints, everything: Ints) -> tuple[Ints, Ints, list[str]]:
    rest, test = everything[: -raw.own_test], everything[-raw.own_test :]
    seen = np.isin(groups[rest], groups[test])
    said = f"{int(seen.sum()):,} training rows equal to a test row left out of training"
    return rest[~seen], test, [said] if seen.any() else []


def _said_of_groups(labels: Ints, groups: Ints) -> list[str]:
    distinct = len(np.unique(groups))
    torn = int((np.bincount(pairs(labels, groups)[0]) > 1).sum())
    said = [f"{len(groups) - distinct:,} exact duplicates kept on one side"] if distinct < len(groups) else []
    return said + ([f"{torn:,} distinct inputs appear with more than one label"] if torn else [])


def _check_enough(raw: Raw, groups: Ints, rows: Ints, least: int, needed: str) -> None:
    """Refuse a class with fewer than `least` distinct samples among `rows`; `needed` says what for."""
    label = pairs(raw.labels[rows], groups[rows])[1] if len(rows) else rows
    counts = np.bincount(label, minlength=len(raw.classes))
    if (counts >= least).all():
        return
    few = int(np.argmax(counts < least))
    raise DataError(
        f"{raw.where}: class {raw.classes[few]!r} has {_only(int(counts[few]), int((raw.labels == few).sum()))}, but "
        f"{needed}; add some or leave the class out."
    )


def _only(distinct: int, samples: int) -> str:
    """How few samples there are to deal out, and how many there seem to be."""
    few = f"only {distinct}" if distinct else "no"
    return f"{few} distinct sample{'s' * (distinct > 1)}" + ("" if distinct == samples else f" (of {samples})")


def labelled_rows(labels: Ints, samples: float | None, seed: int, where: str) -> npt.NDArray[np.bool_]:
    """Which training rows the student may see labelled: stratified, at least one per class.

    Args:
        labels: class ids of the training split, each class present; some may be UNLABELLED.
        samples: a count (1 and above), a share (below 1), or None for all.
        seed: the same seed gives the same rows.
        where: what errors call the data.

    Raises:
        DataError: more samples than the training split has, or fewer than classes.
    """
    known: npt.NDArray[np.bool_] = labels != UNLABELLED
    if samples is None:
        return known
    counts = np.bincount(labels[known])
    total = int(counts.sum())
    count = int(samples) if samples >= 1 else max(len(counts), round(samples * total))
    if count > total:
        raise DataError(f"{where}: data.student_samples = {count:,}, but the training split has {total:,}.")
    if count < len(counts):
        raise DataError(
            f"{where}: data.student_samples = {count} is below one a class; there are {len(counts)} classes."
        )
    rng = np.random.default_rng([seed, 1])  # a separate stream: it must not change the splits
    mask = np.zeros(len(labels), dtype=bool)
    for label, quota in enumerate(_quotas(counts, count)):
        mask[rng.permutation(np.flatnonzero(labels == label))[:quota]] = True
    return mask


def _quotas(counts: Ints, total: int) -> Ints:
    """`total` in proportion to `counts`, by largest remainder, from 1 to all of each."""
    exact: npt.NDArray[np.float64] = counts * total / counts.sum()
    quotas = np.maximum(1, np.floor(exact)).astype(np.int64)
    while quotas.sum() < total:
        quotas[np.argmax(np.where(quotas < counts, exact - quotas, -np.inf))] += 1
    while quotas.sum() > total:
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    return quotas
