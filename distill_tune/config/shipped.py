"""The default ranges that registry entries are shipped with, for options that a search space leaves out.

Naming a loss or an initialisation is enough to have it searched well: if the space leaves out its options, or a loss's
temperature and weight, `python -m distill_tune.search` uses ranges of ours, each from the paper or from measurements
(`docs/experiments.md`). Whatever the space sets, a fixed value or a range, is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from distill_tune.config.existing import lacking
from distill_tune.config.leaves import KeyPath, found_at, put
from distill_tune.config.naming_classes import may_need_labels
from distill_tune.config.space import Space
from distill_tune.registry import INITIALISATIONS, LOSSES, OPTIMIZERS, SAMPLERS, STUDENTS

OF_ALL_LOSSES: dict[str, dict[str, list[Any]]] = {
    "temperature": {"log": [1.0, 8.0]},
    "soft_weight": {"uniform": [0.0, 1.0]},
}
"""Ranges of keys of `[loss]`, used if one of the losses has them."""
BESIDE_LABELS: dict[str, list[Any]] = {"uniform": [0.0, 0.9]}
"""The range of `soft_weight` if a kind of loss needs the labels (`naming_classes.py`)."""
_CHOSEN = (
    ("student", "family", STUDENTS),
    ("student", "init", INITIALISATIONS),
    ("loss", "kind", LOSSES),
    ("optim", "kind", OPTIMIZERS),
)


def completed(space: Space, tables: dict[str, Any]) -> Space:
    """The space that `tables` describe, with shipped ranges for what they leave out.

    A grid is left as it is, since it takes every value of each range as written. So is a space without ranges, which
    describes a single training.
    """
    search = space.config.search
    if not space.ranges or not SAMPLERS.get(search.sampler).takes_intervals:
        return space
    missing = [(path, written) for path, written in _shipped(space) if found_at(tables, path) is None]
    if not missing:
        return space
    tables = deepcopy(tables)
    for path, written in missing:
        put(tables, path, written)
    return Space.parse(tables)


def _shipped(space: Space) -> Iterator[tuple[KeyPath, dict[str, list[Any]]]]:
    """Every shipped range of entries that some trial of the space may have."""
    absent = set.intersection(*(set(lacking(kind, space.added)) for kind in space.kinds))
    capped = {"soft_weight": BESIDE_LABELS} if may_need_labels(space) else {}
    for key, written in (OF_ALL_LOSSES | capped).items():
        if key not in absent:
            yield ("loss", key), written
    for section, chooses, registry in _CHOSEN:
        for name in space.names(section, chooses):
            for key, written in registry.get(name).ranges.items():
                yield (section, name, key), written
    yield from _of_added(space)


def _of_added(space: Space) -> Iterator[tuple[KeyPath, dict[str, list[Any]]]]:
    """Ranges of the losses that are only added, except a loss's only weight, which `loss.also` already sets."""
    for name in space.added:
        loss = LOSSES.get(name)
        for key, written in loss.ranges.items():
            if name not in space.kinds and loss.weights != (key,):
                yield ("loss", name, key), written
