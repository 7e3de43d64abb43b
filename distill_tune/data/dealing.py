"""Dealing rows out by class, in whole groups of rows with equal inputs."""

import numpy as np

from distill_tune.data.raw import Ints


def pairs(labels: Ints, groups: Ints) -> tuple[Ints, Ints, Ints]:
    """Group, label and number of rows of every (group, label) that occurs, sorted by group, then label."""
    classes = int(labels.max()) + 1
    found, counts = np.unique(groups * classes + labels, return_counts=True)
    return found // classes, found % classes, counts


def strata(labels: Ints, groups: Ints, rows: Ints) -> Ints:
    """The class that each row's group counts for, determined from `rows` only.

    It is the class of which the group holds the largest share, not the group's majority, which would leave nothing to a
    rare class that always shares its inputs with a frequent one.
    """
    group, label, counts = pairs(labels[rows], groups[rows])
    share = counts / np.bincount(labels[rows])[label]
    order = np.lexsort((share, group))
    stratum = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    stratum[group[order]] = label[order]  # the last label of a group wins: it has the largest share
    return stratum[groups]


def deal(
    rows: Ints, strata: Ints, groups: Ints, share: float, leave: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Split `rows` into the rest, with at least `leave` groups per class, and a share of every class, in whole groups.

    Rounding errors carry over from one class to the next, so that the split as a whole gets its share too. A group that
    alone exceeds the share stays in the rest, if there are others to choose from.
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
        order = order[np.argsort(sizes[order] > max(want, 1), kind="stable")]  # one such group would fill the share
        reached = np.cumsum(sizes[order])
        last = int(np.argmin(np.abs(reached[: len(order) - leave] - want)))
        chosen[order[: last + 1]] = True
        carry = float(np.clip(want - reached[last], -0.5, 0.5))
    return rows[~chosen[group]], rows[chosen[group]]


def deal_folds(rows: Ints, strata: Ints, groups: Ints, folds: int, rng: np.random.Generator) -> list[Ints]:
    """Split `rows` into `folds` parts, in whole groups: each goes to the fold with the fewest rows of its class so far.

    So the first groups of a class go to different folds, and every fold gets the class if there are enough; ties go to
    the smallest fold.
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
