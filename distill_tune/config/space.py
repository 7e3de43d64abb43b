"""A search space: a configuration in which some values are ranges.

Not every parameter exists for every trial; see `presence.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distill_tune.config.existing import at_its_own_pace, without_unchosen
from distill_tune.config.leaves import FAMILY, NAMES, KeyPath, cure, leaves, named, put, range_at, take_out
from distill_tune.config.messages import BrokenRule, ValuePath, dotted, shown
from distill_tune.config.naming_classes import check_classes_are_named
from distill_tune.config.presence import USE, Presence, Values
from distill_tune.config.ranges import Range, Suggests
from distill_tune.config.sections import Config
from distill_tune.config.validate import validate
from distill_tune.errors import ConfigError
from distill_tune.registry import did_you_mean


@dataclass(frozen=True)
class Space:
    """A checked search space; without ranges it describes a single run."""

    tables: dict[str, Any]
    """The configuration as read, each range replaced by its first corner."""
    ranges: dict[KeyPath, Range]

    @classmethod
    def parse(cls, tables: dict[str, Any]) -> Space:
        """Parse and check `tables` (as read from TOML): every corner of every range must be a valid configuration.

        Raises:
            ConfigError: one line with the key, the rule, the value and the way out.
        """
        fixed = deepcopy(tables)
        ranges = {path: found for path, value in leaves(tables) if (found := range_at(path, value)) is not None}
        for path, found in ranges.items():
            put(fixed, path, found.corners()[0])
        space = cls(fixed, ranges)
        space._check_corners()
        check_classes_are_named(space)
        return space

    def _check_corners(self) -> None:
        self._check(self.tables)
        for path, found in self.ranges.items():
            for value in found.probes()[1:]:
                tables = deepcopy(self.tables)
                put(tables, path, value)
                self._check(tables)

    def _check(self, tables: dict[str, Any]) -> None:
        try:
            validate(tables)
        except BrokenRule as error:
            culprit = next((found for path, found in self.ranges.items() if error.path[: len(path)] == path), None)
            raise error.advised(cure(culprit, error)) from error

    @cached_property
    def config(self) -> Config:
        """The configuration at the first corner of every range; its fixed values are those of every trial."""
        return validate(self.tables if FAMILY in self.ranges else at_its_own_pace(self.tables))

    def with_fixed(self, section: str, key: str, value: Any) -> Space:
        """The same space with another value for a key that is not a range.

        Raises:
            ConfigError: the value breaks a rule.
        """
        tables = deepcopy(self.tables)
        tables.setdefault(section, {})[key] = value
        validate(tables)
        return Space(tables, self.ranges)

    def without(self, section: str, key: str) -> Space:
        """The same space without a key, which then has its default."""
        tables = deepcopy(self.tables)
        tables.get(section, {}).pop(key, None)
        return Space(tables, self.ranges)

    @property
    def families(self) -> list[str]:
        """The student families to choose from."""
        return self.names("student", "family")

    @property
    def inits(self) -> list[str]:
        """The initialisations to choose from."""
        return self.names("student", "init")

    @property
    def kinds(self) -> list[str]:
        """The kinds of loss to choose from."""
        return self.names("loss", "kind")

    @property
    def others(self) -> Iterator[tuple[KeyPath, Any]]:
        """Path and value of every alternative to the middle's value, in choices of names and of teacher mixes."""
        for path, found in self.ranges.items():
            if path == USE or all(isinstance(value, str) for value in found.corners()):
                yield from ((path, name) for name in found.corners() if name != found.at(0.5))

    @property
    def added(self) -> list[str]:
        """The additional terms of the loss that some trial may have."""
        weights = {name: (self.ranges.get(("loss", "also", name)), one) for name, one in self.config.loss.also.items()}
        return [name for name, (found, one) in weights.items() if (any(found.corners()) if found else one)]

    def names(self, section: str, key: str) -> list[str]:
        """The names that a key can choose from."""
        found = self.ranges.get((section, key))
        return [getattr(getattr(self.config, section), key)] if found is None else list(found.corners())

    def ranges_of(self, family: str) -> dict[KeyPath, Range]:
        """The ranges that define a student of this family, leaving out its initialisation."""
        others = {*self.families, *self.inits, *NAMES["student"]} - {family}
        return {p: r for p, r in self.ranges.items() if p[0] == "student" and p[1] not in others}

    def as_optuna(self, values: Values) -> Values:
        """Sampled values as Optuna's trials hold them.

        Raises:
            ConfigError: a name is not a range of this space, or a value is not in its range.
        """
        ranges = named(self.ranges)
        for name, value in values.items():
            if name not in ranges:
                raise ConfigError(f"{name!r} is no range of the space.{did_you_mean(name, list(ranges))}")
            if not ranges[name].contains(value):
                raise ConfigError(f"{name} = {shown(value)}: must be in {ranges[name]}.")
        return {name: ranges[name].as_optuna(value) for name, value in values.items()}

    def suggest(self, trial: Suggests) -> Values:
        """Sample every parameter that exists for this trial: values as in the file, dependent parameters last."""
        return self._valued(lambda path: self.ranges[path].suggest(trial, dotted(path)))

    def middle(
        self, shares: Mapping[KeyPath, float] | None = None, chosen: Mapping[KeyPath, Any] | None = None
    ) -> Values:
        """The trial in the middle of every range, or at the share of it that `shares` gives.

        Choices of names, or of anything but numbers and lists, take the `chosen` value or else the first, where users
        put what they believe in. If values break a rule together, all of that table take their first corner, except in
        `[student]`, where `shares` decide.
        """
        chosen = chosen or {}

        def value_at(path: KeyPath) -> Any:
            return chosen[path] if path in chosen else self.ranges[path].at((shares or {}).get(path, 0.5))

        values = self._valued(value_at)
        table = self._table_broken_by(values)
        if not table or table[0] == "student":
            return values
        broken = {path for path in self.ranges if path[: len(table)] == table} - chosen.keys()
        return self._valued(lambda path: self.ranges[path].corners()[0] if path in broken else value_at(path))

    def _table_broken_by(self, values: Values) -> ValuePath:
        """The path of the table with a rule that these values break together; empty if they break none."""
        try:
            self.at(values)
        except BrokenRule as error:
            return error.path[:-1]
        except ConfigError:  # a user-defined rule, which names no key
            return ()
        return ()

    def _valued(self, value_at: Callable[[KeyPath], Any]) -> Values:
        presence, values = Presence(self.tables, self.config), Values()
        for path in presence.in_turn(self.ranges):
            if presence.exists(path, values):
                values[dotted(path)] = value_at(path)
        return values

    def at(self, values: Values) -> Config:
        """The run that a trial's sampled values describe, without the tables and keys of what it did not choose.

        Unsampled keys of a teacher mix get their default, not their first corner: baselines take the file's mix for all
        trials, and a corner is only one trial's.
        """
        tables = deepcopy(self.tables)
        for path in self.ranges:
            if dotted(path) in values:
                put(tables, path, values[dotted(path)])
            elif path[0] == "teacher":
                take_out(tables, path)
        return validate(at_its_own_pace(without_unchosen(tables)))
