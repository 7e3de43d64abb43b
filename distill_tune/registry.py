"""Registries: one folder of files, each of which adds one named thing.

A registry stands for a package. Every public module of that package is an entry, and the file's name is the entry's
name: writing `students/convnet.py` with a class under `@STUDENTS.register` is all that a new student family takes.
Modules that start with an underscore hold shared parts. Entries are imported when they are asked for, so listing
names costs nothing. `"my_package.module:name"` stands wherever a registered name can stand.
"""

import importlib
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from distill_tune.errors import ConfigError


class Options(BaseModel):
    """Base of every registry entry: its fields are the options that a configuration table may set."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


E_ = TypeVar("E_", bound=type[Options])
T = TypeVar("T", bound=Options)


def did_you_mean(name: str, known: list[str]) -> str:
    """' Did you mean ...?' when something known is close, then the known names."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Known: {', '.join(known)}."


def load_dotted(path: str) -> Any:
    """The object at `"package.module:name"`.

    Raises:
        ConfigError: the module cannot be imported or has no such name.
    """
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{path!r}: module {module_name!r} cannot be imported ({error}).") from error
    if not hasattr(module, name):
        raise ConfigError(f"{path!r}: module {module_name!r} has no {name!r}.")
    return getattr(module, name)


class Registry(Generic[T]):
    """The named entries of one package, found by file name and imported on demand."""

    def __init__(self, what: str, package: str, adapt: str | None = None):
        """`what` names an entry in errors; `adapt` ("module:function") makes an entry of a user's plain callable."""
        self.what = what
        self._package = package
        self._adapt = adapt
        self._entries: dict[str, type[T]] = {}

    def register(self, entry: E_) -> E_:
        """Class decorator: the entry is known by the name of the file that it is in."""
        self._entries[entry.__module__.rpartition(".")[2]] = entry  # type: ignore[assignment]
        return entry

    @cached_property
    def names(self) -> list[str]:
        """The registered names, sorted; nothing is imported but the package itself."""
        folder = importlib.import_module(self._package).__path__
        return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))

    def __contains__(self, name: str) -> bool:
        return ":" in name or name in self.names

    def get(self, name: str) -> type[T]:
        """The entry called `name`, or the user's own at a dotted path.

        Raises:
            ConfigError: there is no such entry.
        """
        if ":" in name:
            return self._users_own(name)
        if name not in self.names:
            raise ConfigError(f"no {self.what} is named {name!r}.{did_you_mean(name, self.names)}")
        importlib.import_module(f"{self._package}.{name}")
        return self._entries[name]

    def _users_own(self, path: str) -> type[T]:
        found = load_dotted(path)
        if isinstance(found, type) and issubclass(found, Options):
            return found  # type: ignore[return-value]
        if self._adapt is None or not callable(found):
            raise ConfigError(f"{path!r} is no {self.what}: it must be a class like those of {self._package}.")
        adapt: Callable[[Any], type[T]] = load_dotted(self._adapt)
        return adapt(found)


DATA_SOURCES: Registry[Any] = Registry("data source", "distill_tune.data.sources")
TEACHERS: Registry[Any] = Registry("teacher source", "distill_tune.teachers.sources")
STUDENTS: Registry[Any] = Registry(
    "student family", "distill_tune.students", "distill_tune.students._base:from_callable"
)
LOSSES: Registry[Any] = Registry("loss", "distill_tune.distillation.losses")
OPTIMIZERS: Registry[Any] = Registry("optimizer", "distill_tune.distillation.optimizers")
AUGMENTATIONS: Registry[Any] = Registry("augmentation", "distill_tune.distillation.augmentation")
CORRUPTIONS: Registry[Any] = Registry("corruption", "distill_tune.evaluation.corruptions")
