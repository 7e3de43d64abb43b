"""Sections that choose: a field names a registry entry, and a table of that name holds the entry's options.

    [student]
    family = "convnet"
    [student.convnet]           the fields of students/convnet.py
    width = 16
    [student."my_models:net"]   the fields of a user-defined family
    depth = 3

Tables of entries that are not chosen are checked too, as another trial or edit may choose them.
"""

from typing import Any, ClassVar, Self, TypeVar, overload

from pydantic import ConfigDict, ValidationError, model_validator

from distill_tune.config.messages import BrokenRule, broken_rule, shown, unknown_key
from distill_tune.errors import ConfigError
from distill_tune.registry import Options, Registry

T = TypeVar("T", bound=Options)


class Choosing(Options):
    """A section in which some fields name registry entries and the tables hold the entries' options."""

    model_config = ConfigDict(extra="allow")
    chooses: ClassVar[dict[str, Registry[Any]]]
    """Field name to the registry that it chooses from."""

    @property
    def tables(self) -> dict[str, Any]:
        """Entry name to its options, as configured."""
        return self.model_extra or {}

    @overload
    def chosen(self, field: str) -> Any: ...

    @overload
    def chosen(self, field: str, base: type[T]) -> T: ...

    def chosen(self, field: str, base: type[Options] = Options) -> Any:
        """The registry entry that `field` names, built with the options of its table.

        Code that can import the entries' base class should call that instead: `Student.of(section)`,
        `Loss.of(section)`.

        Raises:
            TypeError: the chosen entry is not a `base`.
        """
        name = getattr(self, field)
        entry = self.chooses[field].get(name)(**self.tables.get(name, {}))
        if not isinstance(entry, base):
            raise TypeError(f"{field} = {name!r} chooses a {type(entry).__name__}, which is no {base.__name__}")
        return entry

    @classmethod
    def without_unchosen(cls, table: dict[str, Any]) -> dict[str, Any]:
        """A section as plain TOML, without the tables of entries that it does not choose."""
        chosen = {table.get(field, cls.model_fields[field].default) for field in cls.chooses}
        return {key: value for key, value in table.items() if key in cls.model_fields or key in chosen}

    @model_validator(mode="after")
    def _check_names_and_tables(self) -> Self:
        chosen = {field: name for field in self.chooses if (name := getattr(self, field)) is not None}
        for field, name in chosen.items():
            entry = _entry(self.chooses[field], field, name)
            _check_options(entry, name, self.tables.get(name, {}))
            self._check_keys_known(entry, field, name)
            for key in getattr(entry, "needs", ()):
                if getattr(self, key) is None:
                    raise BrokenRule((key,), f"this key is required with {field} = {name!r}.", "missing")
        for name, table in self.tables.items():
            if name not in chosen.values():
                _check_options(self._waiting_entry(name), name, table)
        return self

    def _check_keys_known(self, entry: type[Options], field: str, name: str) -> None:
        """Refuse an entry whose `needs` or `ignores` names a key that the section does not have."""
        known = type(self).model_fields
        for fact in ("needs", "ignores"):
            for key in getattr(entry, fact, ()):
                if key not in known:
                    raise BrokenRule(
                        (field,),
                        f"{name!r} {fact} {key!r}, which is no key of the section; mend its `{fact}`. Known: "
                        f"{', '.join(known)}.",
                    )

    def _waiting_entry(self, name: str) -> type[Options]:
        """The entry of an unchosen table; for a dotted path, from the first field that can name it."""
        registries = [registry for registry in self.chooses.values() if name in registry]
        if not registries:
            names = [each for registry in self.chooses.values() for each in registry.names]
            raise unknown_key((name,), [*type(self).model_fields, *names])
        return _entry(next((r for r in registries if _takes(r, name)), registries[0]), name, name)


def _entry(registry: Registry[Any], key: str, name: str) -> type[Options]:
    try:
        entry: type[Options] = registry.get(name)
    except ConfigError as error:
        raise BrokenRule((key,), str(error)) from error
    return entry


def _takes(registry: Registry[Any], name: str) -> bool:
    try:
        registry.get(name)
    except ConfigError:
        return False
    return True


def _check_options(entry: type[Options], name: str, table: Any) -> None:
    """Refuse a table of options that `entry`, called `name`, cannot take.

    Raises:
        BrokenRule: a key or value breaks a rule.
        ConfigError: the entry's own rule about several options is broken; it starts with `name` and the key.
    """
    if not isinstance(table, dict):
        raise BrokenRule((name,), f"must be a table of options, but got {shown(table)}.", "dict_type", table)
    try:
        entry(**table)
    except ValidationError as error:
        raise broken_rule(error, table, entry).within(name) from error
    except BrokenRule as error:
        raise error.within(name) from error
