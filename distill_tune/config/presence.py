"""Which parameters of a search space exist for a trial, given the names that it has chosen.

A parameter of a family, initialisation, loss or optimizer that a trial did not choose does not exist for that trial,
nor do the temperature and soft_weight of a loss without a teacher, nor the temperature of a loss that does not use it.
A term of `[loss.also]` does not exist if its weight is 0 or if it is the kind of the loss itself.
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
"""The key that selects the members of an ensemble."""
_MEMBERS = ("teacher", "ensemble", "members")

Values = dict[str, Any]
"""A trial's sampled values by dotted name, such as {"loss.temperature": 3.2}."""


@dataclass(frozen=True)
class Presence:
    """Tells which parameters exist; ask for one after the other, `in_turn`, with the trial's values so far."""

    tables: dict[str, Any]
    """The space's tables, each range replaced by its first corner."""
    config: Config
    """The same tables, checked."""

    def in_turn(self, paths: Iterable[KeyPath]) -> list[KeyPath]:
        """The parameters, with those that others depend on first."""
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
        """Whether a trial has the key at `path` of an ensemble; a weight needs a mix of several with that member."""
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
        """The additional terms of a trial's loss."""
        fixed = self.config.loss.also
        return [name for name, weight in fixed.items() if values.get(dotted(("loss", "also", name)), weight)]

    def _name(self, section: str, key: str, values: Values) -> str:
        fixed: str = getattr(getattr(self.config, section), key)
        return str(values.get(dotted((section, key)), fixed))


def _turn(path: KeyPath) -> int:
    """Names first, then the weights of additional terms, then the members of an ensemble, then everything else."""
    return 0 if is_name(path) else 1 if path[:2] == ("loss", "also") else 2 if path == USE else 3
