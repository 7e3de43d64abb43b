"""A search space: a configuration in which some values are ranges.

A parameter of a family, loss or optimizer that a trial did not choose does not exist for that trial, and neither do the
temperature and the weight of a loss that has no teacher.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distill_tune.config.ranges import KINDS, Range, Suggests, is_range, parse_range, unknown_range
from distill_tune.config.sections import Choosing, Config
from distill_tune.config.validate import SECTIONS, validate
from distill_tune.registry import LOSSES

SEARCHED = ("student", "loss", "optim", "augmentation")
NAMES = {"student": "family", "loss": "kind", "optim": "kind"}
"""The key of a section that chooses; a plain list there means: choose one."""

Path = tuple[str, ...]
Values = dict[str, Any]
"""A trial's sampled values by their dotted name, such as {"loss.temperature": 3.2}."""


def dotted(path: Path) -> str:
    """`("student", "convnet", "width")` as `student.convnet.width`, quoted where TOML needs it."""
    return ".".join(part if part.replace("_", "").isalnum() else f'"{part}"' for part in path)


@dataclass(frozen=True)
class Space:
    """A checked search space; with no ranges it describes a single run."""

    tables: dict[str, Any]
    """The configuration as read, each range replaced by its first corner."""
    ranges: dict[Path, Range]

    @classmethod
    def parse(cls, tables: dict[str, Any]) -> "Space":
        """Check `tables` (as read from TOML): every corner of every range must be a valid configuration.

        Raises:
            ConfigError: one line with the key, the rule, the value and the way out.
        """
        fixed = deepcopy(tables)
        ranges: dict[Path, Range] = {}
        for section in SEARCHED:
            for path, value in list(_leaves((section,), fixed.get(section, {}))):
                if (found := _range_at(path, value)) is not None:
                    ranges[path] = found
                    _put(fixed, path, found.corners()[0])
        space = cls(fixed, ranges)
        space._check_corners()
        return space

    def _check_corners(self) -> None:
        validate(self.tables)
        for path, found in self.ranges.items():
            for corner in found.corners()[1:]:
                tables = deepcopy(self.tables)
                _put(tables, path, corner)
                validate(tables)

    @cached_property
    def config(self) -> Config:
        """The configuration at the first corner of every range; its fixed values are those of every trial."""
        return validate(self.tables)

    def suggest(self, trial: Suggests) -> Values:
        """Sample every parameter that exists for this trial; names are chosen first, then what they have."""
        values: Values = {}
        for path in sorted(self.ranges, key=lambda path: (not _is_name(path), list(self.ranges).index(path))):
            if self._exists(path, values):
                values[dotted(path)] = self.ranges[path].suggest(trial, dotted(path))
        return values

    def at(self, values: Values) -> Config:
        """The run that a trial's sampled values describe, without the tables of what it did not choose."""
        tables = deepcopy(self.tables)
        for path in self.ranges:
            if dotted(path) in values:
                _put(tables, path, values[dotted(path)])
        for section in SEARCHED:
            for path, _ in list(_tables(section, tables)):
                if not self._exists((*path, ""), values):
                    del tables[section][path[1]]
        return validate(tables)

    def _exists(self, path: Path, values: Values) -> bool:
        section = path[0]
        if section == "loss" and len(path) == 2 and path[1] in ("temperature", "soft_weight"):
            return bool(LOSSES.get(self._name(section, values)).uses_teacher)
        if section in NAMES and len(path) > 2:
            return path[1] == self._name(section, values)
        return True

    def _name(self, section: str, values: Values) -> str:
        key = NAMES[section]
        fixed: str = getattr(getattr(self.config, section), key)
        return str(values.get(dotted((section, key)), fixed))


def tables_of(config: Config) -> dict[str, Any]:
    """A configuration as plain TOML tables, without what is None."""
    dumped = config.model_dump()
    return {
        name: {key: value for key, value in table.items() if value is not None}
        for name, table in dumped.items()
        if table
    }


def _is_name(path: Path) -> bool:
    return NAMES.get(path[0]) == path[1] and len(path) == 2


def _range_at(path: Path, value: Any) -> Range | None:
    if is_range(value):
        return parse_range(dotted(path), value)
    if _is_name(path) and isinstance(value, list):
        return parse_range(dotted(path), {"choice": value})
    return None


def _leaves(path: Path, table: Any) -> Iterator[tuple[Path, Any]]:
    if not isinstance(table, dict) or is_range(table):
        yield path, table
        return
    for key, value in table.items():
        if isinstance(value, dict) and len(value) == 1 and _looks_like_range(path, key, value):
            raise unknown_range(dotted((*path, key)), value)
        yield from _leaves((*path, key), value)


def _looks_like_range(path: Path, key: str, value: dict[str, Any]) -> bool:
    """A one-key table where no option table can be: below an option table, or at a field of the section."""
    known = key in getattr(SECTIONS[path[0]], "model_fields", {}) or len(path) > 1 or path[0] == "augmentation"
    return known and next(iter(value)) not in KINDS


def _tables(section: str, tables: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    model: Any = SECTIONS[section]
    if issubclass(model, Choosing):
        fields = model.model_fields
        for key, value in tables.get(section, {}).items():
            if key not in fields:
                yield (section, key), value


def _put(tables: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        tables = tables[part]
    tables[path[-1]] = value
