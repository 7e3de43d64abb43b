"""The fair question: how good would the same search have been without a teacher?

A tuned student against an untuned baseline shows what tuning is worth, not what the teacher is worth. So the space is
searched once more, with as many trials and as much time, using losses that need no teacher, and the same students,
optimizers and augmentations. What such comparisons find elsewhere: Musgrave, Belongie, Lim, "A Metric Learning Reality
Check", ECCV 2020, https://arxiv.org/abs/2003.08505
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from distill_tune.config import Space, Values
from distill_tune.config.existing import OF_THE_TEACHERS_WEIGHTS
from distill_tune.config.leaves import KeyPath, named
from distill_tune.config.ranges import Choice, Range, parse_range
from distill_tune.errors import ConfigError
from distill_tune.registry import INITIALISATIONS, LOSSES

Ranges = dict[KeyPath, Range]


def space_without_teacher(space: Space) -> Space:
    """The same space with the losses that need no teacher, and without anything else a student gets from its teacher.

    Its search has no target, no patience and no baseline search of its own.

    Raises:
        ConfigError: the space has no teacher to begin with.
    """
    if not space.added and not any(LOSSES.get(kind).uses_teacher for kind in space.kinds):
        raise ConfigError(
            f"confirm.baseline_search: no loss of the space ({', '.join(space.kinds)}) has a teacher, so a search "
            "without one is no other search; set it to false."
        )
    tables, ranges = deepcopy(space.tables), dict(space.ranges)
    _replace_losses(space, tables, ranges)
    _drop_inits(space, tables, ranges)
    for section, key in OF_THE_TEACHERS_WEIGHTS:
        tables.get(section, {}).pop(key, None)
        ranges.pop((section, key), None)
    tables.get("confirm", {}).pop("baseline_search", None)
    for key in ("target", "patience"):
        tables.get("search", {}).pop(key, None)
    bare, start_with = Space(tables, ranges), space.config.search.start_with
    if start_with == "middle":
        return bare
    first_settings = [kept for values in start_with if (kept := _kept(bare, values))]
    return bare.with_fixed("search", "start_with", first_settings)


def _replace_losses(space: Space, tables: dict[str, Any], ranges: Ranges) -> None:
    """Put in every built-in loss that needs no teacher, and such custom losses as the space names.

    `labels` comes first: a search begins with the first name, and trains that to the end whatever the rungs say.
    """
    names = dict.fromkeys(["labels", *LOSSES.names, *space.kinds])
    kinds = tuple(kind for kind in names if not LOSSES.get(kind).uses_teacher)
    options = {name: table for name, table in tables.get("loss", {}).items() if name in kinds}
    for path in [path for path in ranges if path[0] == "loss" and path[1] not in kinds]:
        del ranges[path]
    tables["loss"] = {"kind": kinds[0], **options}
    ranges["loss", "kind"] = Choice(kinds)
    for name in kinds:
        for key, written in LOSSES.get(name).ranges.items():
            if key not in (options := tables["loss"].setdefault(name, {})):
                path = ("loss", name, key)
                ranges[path] = parse_range(path, written)
                options[key] = ranges[path].corners()[0]


def _drop_inits(space: Space, tables: dict[str, Any], ranges: Ranges) -> None:
    """Keep only the initialisations that need no teacher; PyTorch's default if none is left."""
    able = [name for name in space.inits if not INITIALISATIONS.get(name).needs_teacher] or ["default"]
    for name in set(space.inits) - set(able):
        tables["student"].pop(name, None)
        for path in [path for path in ranges if path[:2] == ("student", name)]:
            del ranges[path]
    tables["student"]["init"] = able[0]
    if ranges.pop(("student", "init"), None) is not None and len(able) > 1:
        ranges["student", "init"] = Choice(tuple(able))


def _kept(space: Space, values: Values) -> Values:
    """The values of a setting that are in the space."""
    ranges = named(space.ranges)
    return {name: value for name, value in values.items() if name in ranges and ranges[name].contains(value)}
