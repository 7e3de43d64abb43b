"""A search space: a configuration in which some values are ranges.

A parameter of a family, initialisation, loss or optimizer that a trial did not choose does not exist for that trial,
and neither do the temperature and the weight of a loss that has no teacher, nor the temperature of one that does not
look at it. A term of `[loss.also]` that weighs nothing, or is the kind of the loss anyway, is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distill_tune.config.choosing import Choosing
from distill_tune.config.messages import NUMBER_RULES, UNKNOWN_KEY, BrokenRule, dotted, shown
from distill_tune.config.ranges import (
    Interval,
    Range,
    Suggests,
    is_range,
    looks_like_range,
    parse_choice,
    parse_range,
    unknown_kind,
)
from distill_tune.config.sections import SEARCHED, SECTIONS, Config
from distill_tune.config.validate import validate
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES, did_you_mean

NAMES = {"student": ("family", "init"), "loss": ("kind",), "optim": ("kind",)}
"""The keys of a section that choose; a plain list there means: choose one."""
OF_THE_TEMPERATURE = ("temperature", "temperature_end")
"""Keys of `[loss]` that a loss without a temperature does not have."""
OF_THE_SOFT_TERM = ("soft_weight", "soft_weight_end")
"""Keys of `[loss]` that a kind of loss without a teacher does not have."""
OF_THE_TEACHER = (*OF_THE_TEMPERATURE, *OF_THE_SOFT_TERM, "schedule")
"""Keys of `[loss]` that a loss without a teacher does not have."""

Path = tuple[str, ...]
Values = dict[str, Any]
"""A trial's sampled values by their dotted name, such as {"loss.temperature": 3.2}."""


@dataclass(frozen=True)
class Space:
    """A checked search space; with no ranges it describes a single run."""

    tables: dict[str, Any]
    """The configuration as read, each range replaced by its first corner."""
    ranges: dict[Path, Range]

    @classmethod
    def parse(cls, tables: dict[str, Any]) -> Space:
        """Check `tables` (as read from TOML): every corner of every range must be a valid configuration.

        Raises:
            ConfigError: one line with the key, the rule, the value and the way out.
        """
        fixed = deepcopy(tables)
        ranges = {path: found for path, value in _leaves(tables) if (found := _range_at(path, value)) is not None}
        for path, found in ranges.items():
            _put(fixed, path, found.corners()[0])
        space = cls(fixed, ranges)
        space._check_corners()
        return space

    def _check_corners(self) -> None:
        self._check(self.tables)
        for path, found in self.ranges.items():
            for value in found.probes()[1:]:
                tables = deepcopy(self.tables)
                _put(tables, path, value)
                self._check(tables)

    def _check(self, tables: dict[str, Any]) -> None:
        try:
            validate(tables)
        except BrokenRule as error:
            culprit = next((found for path, found in self.ranges.items() if error.path[: len(path)] == path), None)
            raise error.advised(_cure(culprit, error)) from error

    @cached_property
    def config(self) -> Config:
        """The configuration at the first corner of every range; its fixed values are those of every trial."""
        return validate(self.tables)

    def with_fixed(self, section: str, key: str, value: Any) -> Space:
        """The same space with another value at a key that is no range.

        Raises:
            ConfigError: the value breaks a rule.
        """
        tables = deepcopy(self.tables)
        tables.setdefault(section, {})[key] = value
        validate(tables)
        return Space(tables, self.ranges)

    def without(self, section: str, key: str) -> Space:
        """The same space without a key, which so has its default."""
        tables = deepcopy(self.tables)
        tables.get(section, {}).pop(key, None)
        return Space(tables, self.ranges)

    @property
    def families(self) -> list[str]:
        """The student families to choose from."""
        return self._names("student", "family")

    @property
    def inits(self) -> list[str]:
        """The initialisations to choose from."""
        return self._names("student", "init")

    @property
    def kinds(self) -> list[str]:
        """The kinds of loss to choose from."""
        return self._names("loss", "kind")

    @property
    def added(self) -> list[str]:
        """The further terms of the loss that some trial may have."""
        weights = {name: self.ranges.get(("loss", "also", name)) for name in self._also}
        return [name for name, found in weights.items() if (any(found.corners()) if found else self._also[name])]

    def _names(self, section: str, key: str) -> list[str]:
        found = self.ranges.get((section, key))
        return [getattr(getattr(self.config, section), key)] if found is None else list(found.corners())

    def ranges_of(self, family: str) -> dict[Path, Range]:
        """The ranges that make a student of this family, whatever its weights begin as."""
        others = {*self.families, *self.inits, *NAMES["student"]} - {family}
        return {p: r for p, r in self.ranges.items() if p[0] == "student" and p[1] not in others}

    def as_optuna(self, values: Values) -> Values:
        """Sampled values as Optuna's trials hold them.

        Raises:
            ConfigError: a name is no range of this space, or a value is not in its range.
        """
        ranges = {dotted(path): found for path, found in self.ranges.items()}
        for name, value in values.items():
            if name not in ranges:
                raise ConfigError(f"{name!r} is no range of the space.{did_you_mean(name, list(ranges))}")
            if not ranges[name].contains(value):
                raise ConfigError(f"{name} = {shown(value)}: must be in {ranges[name]}.")
        return {name: ranges[name].as_optuna(value) for name, value in values.items()}

    def suggest(self, trial: Suggests) -> Values:
        """Sample every parameter that exists for this trial, as the file has them: what others hang on comes first."""
        values: Values = {}
        for path in sorted(self.ranges, key=_turn):
            if self._exists(path, values):
                values[dotted(path)] = self.ranges[path].suggest(trial, dotted(path))
        return values

    def at(self, values: Values) -> Config:
        """The run that a trial's sampled values describe, without the tables and keys of what it did not choose."""
        tables = deepcopy(self.tables)
        for path in self.ranges:
            if dotted(path) in values:
                _put(tables, path, values[dotted(path)])
        return validate(_without_unchosen(tables))

    def _exists(self, path: Path, values: Values) -> bool:
        section = path[0]
        if section == "loss":
            return self._exists_in_loss(path, values)
        if section in NAMES and len(path) > 2:
            return path[1] in (self._name(section, key, values) for key in NAMES[section])
        return True

    def _exists_in_loss(self, path: Path, values: Values) -> bool:
        kind = self._name("loss", "kind", values)
        if path[1] == "also":
            return path[2] != kind
        weights = {name: values.get(dotted(("loss", "also", name)), fixed) for name, fixed in self._also.items()}
        added = [name for name, weight in weights.items() if weight and name != kind]
        return path[1] not in _lacking(kind, added) if len(path) == 2 else path[1] in (kind, *added)

    @property
    def _also(self) -> dict[str, float]:
        """The further terms of the loss, each with the first corner of its weight."""
        return self.config.loss.also

    def _name(self, section: str, key: str, values: Values) -> str:
        fixed: str = getattr(getattr(self.config, section), key)
        return str(values.get(dotted((section, key)), fixed))


def tables_of(config: Config) -> dict[str, Any]:
    """A configuration as plain TOML tables, all defaults written out, without what is None or does not exist."""
    dumped = config.model_dump(exclude_none=True)
    if config.data.folds is not None:
        del dumped["data"]["validation"]
    return {name: table for name, table in _without_unchosen(dumped).items() if table}


def _without_unchosen(tables: dict[str, Any]) -> dict[str, Any]:
    kept = dict(tables)
    for name, table in tables.items():
        model = SECTIONS[name]
        if issubclass(model, Choosing):
            kept[name] = model.without_unchosen(table)
    loss = kept.get("loss", {})
    if "kind" in loss:
        lacking = _lacking(loss["kind"], [name for name, weight in loss.get("also", {}).items() if weight])
        kept["loss"] = {key: value for key, value in loss.items() if key not in lacking}
    return kept


def _lacking(kind: str, added: Iterable[str]) -> tuple[str, ...]:
    """The keys of `[loss]` that do not exist for a kind of loss and what is added to it."""
    entry = LOSSES.get(kind)
    softened = any(LOSSES.get(name).uses_temperature for name in added) or (
        entry.uses_teacher and entry.uses_temperature
    )
    if softened:
        return () if entry.uses_teacher else OF_THE_SOFT_TERM
    return OF_THE_TEMPERATURE if entry.uses_teacher else OF_THE_TEACHER


def _turn(path: Path) -> int:
    """Names first, then the weights of further terms, then everything else."""
    return 0 if _is_name(path) else 1 if path[:2] == ("loss", "also") else 2


def _is_name(path: Path) -> bool:
    return len(path) == 2 and path[1] in NAMES.get(path[0], ())


def _leaves(tables: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Path and value of everything below the searched sections that is no table, or is a range."""
    for section in SEARCHED:
        if isinstance(tables.get(section), dict):
            for key, value in tables[section].items():
                yield from _leaves_below((section, key), value)


def _leaves_below(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and not is_range(value) and not looks_like_range(value):
        for key, below in value.items():
            yield from _leaves_below((*path, key), below)
    else:
        yield path, value


def _range_at(path: Path, value: Any) -> Range | None:
    if looks_like_range(value):
        raise BrokenRule(path, unknown_kind(value))
    if is_range(value):
        return parse_range(path, value)
    return parse_choice(path, value) if _is_name(path) and isinstance(value, list) else None


def _cure(culprit: Range | None, broken: BrokenRule) -> str:
    """What to do about a range one of whose values breaks a rule."""
    if not isinstance(culprit, Interval) or broken.kind == UNKNOWN_KEY:
        return ""
    if broken.kind in NUMBER_RULES:
        integers = culprit.with_integers()
        return f"Write {integers}." if integers else f"There are no two integers in {culprit}."
    if broken.kind == "bool_type":
        return "Write { choice = [false, true] }."
    if broken.kind in ("string_type", "literal_error"):
        return "Write { choice = [...] } with those to choose from."
    return f"Every value of {culprit} must be allowed."


def _put(tables: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        tables = tables[part]
    tables[path[-1]] = value
