"""Which parameters of a search space exist for a trial, by the names that it has chosen.

A parameter of a family, initialisation, loss or optimizer that a trial did not choose does not exist for that trial,
and neither do the temperature and the weight of a loss that has no teacher, nor the temperature of one that does not
look at it. A term of `[loss.also]` that weighs nothing, or is the kind of the loss anyway, is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from distill_tune.config.existing import lacking
from distill_tune.config.leaves import NAMES, KeyPath, found_at, is_name
from distill_tune.config.messages import dotted
from distill_tune.config.sections import Config
from distill_tune.registry import LOSSES

USE = ("teacher", "ensemble", "use")
"""The key that says which members of an ensemble take part."""
_MEMBERS = ("teacher", "ensemble", "members")

Values = dict[str, Any]
"""A trial's sampled values by their dotted name, such as {"loss.temperature": 3.2}."""


@dataclass(frozen=True)
class Presence:
    """Asked parameter by parameter, `in_turn`, with the values that the trial has so far."""

    tables: dict[str, Any]
    """Those of the space, each range replaced by its first corner."""
    config: Config
    """The same, checked."""

    def in_turn(self, paths: Iterable[KeyPath]) -> list[KeyPath]:
        """Parameters on which others depend come first."""
        return sorted(paths, key=_turn)

    def exists(self, path: KeyPath, values: Values) -> bool:
        """Whether a trial with these values has the parameter at `path`."""
        section = path[0]
        if section == "teacher":
            return self._mixes(path, values)
        if section == "loss":
            return self._exists_in_loss(path, values)
        if section in NAMES and len(path) > 2:
            return path[1] in (self._name(section, key, values) for key in NAMES[section])
        return True

    def _mixes(self, path: KeyPath, values: Values) -> bool:
        """Whether a trial has the member or the weight at `path` of an ensemble: it mixes more than one, of those."""
        terms = [self._name("loss", "kind", values), *self._added(values)]
        if self.config.teacher.source != "ensemble" or not any(LOSSES.get(name).uses_teacher for name in terms):
            return False
        chosen = values.get(dotted(USE), found_at(self.tables, USE))
        used = [chosen] if isinstance(chosen, str) else chosen or found_at(self.tables, _MEMBERS)
        return path == USE or (len(used) > 1 and path[-1] in used)

    def _exists_in_loss(self, path: KeyPath, values: Values) -> bool:
        kind = self._name("loss", "kind", values)
        if path[1] == "also":
            return path[2] != kind
        added = [name for name in self._added(values) if name != kind]
        return path[1] not in lacking(kind, added) if len(path) == 2 else path[1] in (kind, *added)

    def _added(self, values: Values) -> list[str]:
        """The further terms of the loss that a trial has."""
        fixed = self.config.loss.also
        return [name for name, weight in fixed.items() if values.get(dotted(("loss", "also", name)), weight)]

    def _name(self, section: str, key: str, values: Values) -> str:
        fixed: str = getattr(getattr(self.config, section), key)
        return str(values.get(dotted((section, key)), fixed))


def _turn(path: KeyPath) -> int:
    """Names first, then the weights of further terms, then who of an ensemble takes part, then everything else."""
    return 0 if is_name(path) else 1 if path[:2] == ("loss", "also") else 2 if path == USE else 3
