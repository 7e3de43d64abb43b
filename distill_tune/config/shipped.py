"""What a search space need not say: the ranges that losses are shipped with.

Naming a loss is enough to have it searched well: where the space says nothing of its options, temperature or weight,
`python -m distill_tune.search` searches them in ranges of ours, each from the paper or what was measured
(`docs/experiments.md`). What the space does say stands, a fixed value as well as a range.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from distill_tune.config.existing import lacking
from distill_tune.config.leaves import Path, found_at
from distill_tune.config.space import Space
from distill_tune.registry import LOSSES, SAMPLERS

OF_ALL_LOSSES: dict[str, dict[str, list[Any]]] = {
    "temperature": {"log": [1.0, 8.0]},
    "soft_weight": {"uniform": [0.0, 1.0]},
}
"""Of keys of `[loss]`, where one of the losses has them."""


def completed(space: Space, tables: dict[str, Any]) -> Space:
    """The space that `tables` describe, with shipped ranges where they say nothing.

    A grid has every value of each range as it was written, and is left as it is. So is a space in which nothing is
    searched: somebody wants that one training.
    """
    search = space.config.search
    if not space.ranges or not SAMPLERS.get(search.sampler).takes_intervals:
        return space
    missing = [(path, written) for path, written in _shipped(space) if found_at(tables, path) is None]
    if not missing:
        return space
    tables = deepcopy(tables)
    for path, written in missing:
        _put(tables, path, written)
    return Space.parse(tables)


def _shipped(space: Space) -> Iterator[tuple[Path, dict[str, list[Any]]]]:
    """Every range that is shipped with a loss that some trial of the space may have."""
    absent = set.intersection(*(set(lacking(kind, space.added)) for kind in space.kinds))
    for key, written in OF_ALL_LOSSES.items():
        if key not in absent:
            yield ("loss", key), written
    for name in dict.fromkeys([*space.kinds, *space.added]):
        for key, written in LOSSES.get(name).ranges.items():
            yield ("loss", name, key), written


def _put(tables: dict[str, Any], path: Path, value: Any) -> None:
    """Write a value into tables, at a path whose tables may not exist yet."""
    for part in path[:-1]:
        tables = tables.setdefault(part, {})
    tables[path[-1]] = value
