"""Rows dealt out by class, in whole groups of rows with equal inputs."""

import numpy as np

from distill_tune.data.raw import Ints


def pairs(labels: Ints, groups: Ints) -> tuple[Ints, Ints, Ints]:
    """Group, label and number of rows of every (group, label) that occurs, in this order."""
    classes = int(labels.max()) + 1
    found, counts = np.unique(groups * classes + labels, return_counts=True)
    return found // classes, found % classes, counts


def strata(labels: Ints, groups: Ints, rows: Ints) -> Ints:
    """The class that each row's group counts for; only `rows` have a say.

    It is the class of which the group holds the largest share, so that rare classes keep theirs: the majority
    would leave nothing to a class that always shares its inputs with a frequent one.
    """
    group, label, counts = pairs(labels[rows], groups[rows])
    share = counts / np.bincount(labels[rows])[label]
    order = np.lexsort((share, group))
    stratum = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    stratum[group[order]] = label[order]  # of a group's labels the last, which has the largest share, stays
    return stratum[groups]


def deal(
    rows: Ints, strata: Ints, groups: Ints, share: float, leave: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """`rows` without, and as, a share of every class, in whole groups; `leave` groups a class stay at least.

    What one class got too much of by rounding, the next gets less: the split as a whole has its share too. A group that
    is larger than the share by itself stays where the others are, if there are others to choose from.
    """
    found, first, group, sizes = np.unique(groups[rows], return_index=True, return_inverse=True, return_counts=True)
    stratum = strata[rows][first]
    chosen, carry = np.zeros(len(found), dtype=bool), 0.0
    by_stratum = np.argsort(stratum, kind="stable")
    for members in np.split(by_stratum, np.flatnonzero(np.diff(stratum[by_stratum])) + 1):
        if len(members) <= leave:
            continue
        want = share * sizes[members].sum() + carry
        order = rng.permutation(members)
        order = order[np.argsort(sizes[order] > max(want, 1), kind="stable")]  # a row so frequent would fill the share
        reached = np.cumsum(sizes[order])
        last = int(np.argmin(np.abs(reached[: len(order) - leave] - want)))
        chosen[order[: last + 1]] = True
        carry = float(np.clip(want - reached[last], -0.5, 0.5))
    return rows[~chosen[group]], rows[chosen[group]]


def deal_folds(rows: Ints, strata: Ints, groups: Ints, folds: int, rng: np.random.Generator) -> list[Ints]:
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
