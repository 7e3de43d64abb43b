"""Train, validation and test by row, stratified by class, with equal inputs on one side.

Rows with the same inputs form a group, and groups are what is dealt out: a test row that was also trained on
measures memory. A group with several labels stays together. Everything follows from the seed. Rows without a label are
all in train, but for those that equal a row of another split.

With folds there is no one validation split: what is not test is dealt into folds, each of which is the validation split
of one split of its own. The split of all of them trains on everything that is not test; its validation split, the first
fold, is part of what it trains on and measures nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_tune.data.dataset import UNLABELLED
from distill_tune.data.raw import Ints, Raw
from distill_tune.errors import DataError

DEFAULT_TEST = 0.2
ATTEMPTS = 100
"""The first always does where equal inputs have equal labels."""


@dataclass(frozen=True)
class Rows:
    """Row numbers of each split, ascending; disjoint."""

    train: Ints
    validation: Ints
    test: Ints
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fold:
    """Which of how many folds is validated on."""

    folds: int
    number: int | None = None
    """From 0 on; None trains on all of them."""


def split_rows(raw: Raw, validation: float, test: float | None, seed: int, fold: Fold | None = None) -> Rows:
    """Deal the rows of `raw` out.

    Args:
        raw: the data; its own test split is kept where `test` is None.
        validation: share of the rows that are not test; means nothing with a fold.
        test: share of all rows; None takes the own test split, or 0.2 where there is none.
        seed: the same seed gives the same split.
        fold: the fold to validate on.

    Raises:
        DataError: a class has too few distinct samples for one in each split, or fold.
    """
    rng = np.random.default_rng(seed)
    groups = np.unique(raw.row_hashes(), return_inverse=True)[1]
    everything = np.flatnonzero(raw.labels != UNLABELLED)
    notes = _said_of_groups(raw.labels[everything], groups[everything])
    own_test = raw.own_test and test is None
    if own_test:
        everything, test_rows, said = _own_test(raw, groups, everything)
        notes += said
        _check_enough(raw, groups, test_rows, 1, "its own test split")
        _check_enough(raw, groups, everything, *(_each_part(fold) or (2, "training and validation")))
    else:
        notes += ["the source's own test split was mixed in and drawn anew (data.test)"] if raw.own_test else []
        least, splits = _each_part(fold) or (2, "training, validation")
        _check_enough(raw, groups, everything, least + 1, f"{splits} and test")
    strata = _strata(raw.labels, groups, everything)
    for _ in range(ATTEMPTS):
        rest = everything
        if not own_test:
            stay = 2 if fold is None else fold.folds
            rest, test_rows = _deal(rest, strata, groups, test or DEFAULT_TEST, stay, rng)
        if fold is None:
            parts = [_deal(rest, strata, groups, validation, 1, rng)[1]]
        else:
            parts = _deal_folds(rest, strata, groups, fold.folds, rng)
        trained = [np.setdiff1d(rest, part) for part in parts]
        if all(len(np.unique(raw.labels[part])) == len(raw.classes) for part in (*trained, *parts, test_rows)):
            number = 0 if fold is None or fold.number is None else fold.number
            train = rest if fold is not None and fold.number is None else trained[number]
            more, said = _without_label(raw, groups, np.concatenate([test_rows, np.setdiff1d(parts[number], train)]))
            return Rows(np.union1d(train, more), parts[number], test_rows, (*notes, *said))
    raise DataError(
        f"{raw.where}: no split has every class on each side, because too many equal inputs have different "
        "labels; add samples, or columns that tell them apart."
    )


def _each_part(fold: Fold | None) -> tuple[int, str] | None:
    """How many distinct samples of a class the folds need, and what for."""
    return None if fold is None else (fold.folds, f"{fold.folds} folds (data.folds)")


def _without_label(raw: Raw, groups: Ints, kept_out: Ints) -> tuple[Ints, list[str]]:
    """The rows that have none and equal no row that is kept out of training, and what to say of them."""
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
    torn = int((np.bincount(_pairs(labels, groups)[0]) > 1).sum())
    said = [f"{len(groups) - distinct:,} exact duplicates kept on one side"] if distinct < len(groups) else []
    return said + ([f"{torn:,} distinct inputs appear with more than one label"] if torn else [])


def _pairs(labels: Ints, groups: Ints) -> tuple[Ints, Ints, Ints]:
    """Group, label and number of rows of every (group, label) that occurs, in this order."""
    classes = int(labels.max()) + 1
    found, counts = np.unique(groups * classes + labels, return_counts=True)
    return found // classes, found % classes, counts


def _strata(labels: Ints, groups: Ints, rows: Ints) -> Ints:
    """The class that each row's group counts for; only `rows` have a say.

    It is the class of which the group holds the largest share, so that rare classes keep theirs: the majority
    would leave nothing to a class that always shares its inputs with a frequent one.
    """
    group, label, counts = _pairs(labels[rows], groups[rows])
    share = counts / np.bincount(labels[rows])[label]
    order = np.lexsort((share, group))
    stratum = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    stratum[group[order]] = label[order]  # of a group's labels the last, which has the largest share, stays
    return stratum[groups]


def _check_enough(raw: Raw, groups: Ints, rows: Ints, least: int, splits: str) -> None:
    label = _pairs(raw.labels[rows], groups[rows])[1] if len(rows) else rows
    counts = np.bincount(label, minlength=len(raw.classes))
    if (counts >= least).all():
        return
    few = int(np.argmax(counts < least))
    raise DataError(
        f"{raw.where}: class {raw.classes[few]!r} has {int((raw.labels == few).sum())} samples, but "
        f"{int(counts[few])} distinct ones for {splits}, which need {least}; add some or leave the class out."
    )


def _deal(
    rows: Ints, strata: Ints, groups: Ints, share: float, leave: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """`rows` without, and as, a share of every class, in whole groups; `leave` groups a class stay at least.

    What one class got too much of by rounding, the next gets less: the split as a whole has its share too.
    """
    found, first, group, sizes = np.unique(groups[rows], return_index=True, return_inverse=True, return_counts=True)
    stratum = strata[rows][first]
    chosen, carry = np.zeros(len(found), dtype=bool), 0.0
    by_stratum = np.argsort(stratum, kind="stable")
    for members in np.split(by_stratum, np.flatnonzero(np.diff(stratum[by_stratum])) + 1):
        if len(members) <= leave:
            continue
        order = rng.permutation(members)
        reached = np.cumsum(sizes[order])
        want = share * reached[-1] + carry
        last = int(np.argmin(np.abs(reached[: len(order) - leave] - want)))
        chosen[order[: last + 1]] = True
        carry = float(np.clip(want - reached[last], -0.5, 0.5))
    return rows[~chosen[group]], rows[chosen[group]]


def _deal_folds(rows: Ints, strata: Ints, groups: Ints, folds: int, rng: np.random.Generator) -> list[Ints]:
    """`rows` in so many parts, in whole groups: each group goes where its class has the fewest rows so far.

    The first groups of a class so go to different folds, and every fold has it if there are enough; where several have
    as few, the smallest of them gets the group.
    """
    found, first, group, sizes = np.unique(groups[rows], return_index=True, return_inverse=True, return_counts=True)
    stratum, where, filled = strata[rows][first], np.zeros(len(found), dtype=np.int64), np.zeros(folds)
    for label in np.unique(stratum):
        of_class = np.zeros(folds)
        for member in rng.permutation(np.flatnonzero(stratum == label)):
            fold = np.lexsort((filled, of_class))[0]
            where[member] = fold
            of_class[fold] += sizes[member]
            filled[fold] += sizes[member]
    return [rows[where[group] == fold] for fold in range(folds)]


def labelled_rows(labels: Ints, samples: float | None, seed: int, where: str) -> npt.NDArray[np.bool_]:
    """Which training rows the student may see labelled: stratified, at least one a class.

    Args:
        labels: class ids of the training split, each class present; some may be UNLABELLED.
        samples: a count (1 and above), a share (below 1), or None for all.
        seed: the same seed gives the same rows.
        where: names the data in errors.

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
    rng = np.random.default_rng([seed, 1])  # a stream of its own: it must not move the splits
    mask = np.zeros(len(labels), dtype=bool)
    for label, quota in enumerate(_quotas(counts, count)):
        mask[rng.permutation(np.flatnonzero(labels == label))[:quota]] = True
    return mask


def _quotas(counts: Ints, total: int) -> Ints:
    """`total` in proportion to `counts`, by largest remainder, at least 1 and at most all of each."""
    exact: npt.NDArray[np.float64] = counts * total / counts.sum()
    quotas = np.maximum(1, np.floor(exact)).astype(np.int64)
    while quotas.sum() < total:
        quotas[np.argmax(np.where(quotas < counts, exact - quotas, -np.inf))] += 1
    while quotas.sum() > total:
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    return quotas
