"""Registries: packages in which each file adds one named entry.

Every public module of a registry's package is an entry named after its file: writing `students/convnet.py` with a class
under `@STUDENTS.register` is all that a new student family takes. Modules that start with an underscore hold shared
code. Entries are imported on demand, so listing names costs nothing. `"my_package.module:name"` can be used wherever a
registered name can.
"""

import importlib
import pkgutil
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from distill_tune.errors import ConfigError, one_line
from distill_tune.overriding import check_called_alike, check_facts
from distill_tune.paths import folders_of_users_code, is_users_code

_FOLDERS_NAMED = 2
"""The most folders that a message names: the script's or the current one, and the first of PYTHONPATH."""


class Options(BaseModel):
    """Base of all registry entries; the fields are the options that a configuration table may set."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {}
    """Option to its default range, as a search space writes it; used if the space does not mention the option."""
    elsewhere: ClassVar[dict[str, str]] = {}
    """A name that other tools have for an option, or for one like it, to what to write here: a sentence."""

    @classmethod
    def missing_methods(cls) -> list[str]:
        """The required methods that this class lacks, sorted.

        By default these are the abstract ones; a base with a method that only some entries need overrides this.
        """
        return sorted(cls.__abstractmethods__)


EntryClass = TypeVar("EntryClass", bound=type[Options])
T = TypeVar("T", bound=Options)


def closest(name: str, known: list[str]) -> str | None:
    """The known name that `name` is most likely a typo of, if any is close."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: list[str], meant: str | None = None) -> str:
    """' Did you mean ...?' if a known name is `meant`, or else close, then all known names."""
    near = meant or closest(name, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{hint} Known: {', '.join(known) or 'none'}."


def load_dotted(path: str) -> Any:
    """The object at `"package.module:name"`.

    Raises:
        ConfigError: the path is malformed, there is no such module or name, or importing the module fails.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise ConfigError(f"{path!r}: must be written 'package.module:name'.")
    module = _imported(path, module_name)
    if not hasattr(module, name):
        near = closest(name, [each for each in vars(module) if not each.startswith("_")])
        hint = f" Did you mean '{module_name}:{near}'?" if near else ""
        raise ConfigError(f"{path!r}: module {module_name!r} has no {name!r}.{hint}")
    return getattr(module, name)


def _imported(path: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            where = "".join(f"in {folder} or " for folder in folders_of_users_code()[:_FOLDERS_NAMED])
            raise ConfigError(
                f"{path!r}: there is no module {error.name!r} {where}among the installed packages; set PYTHONPATH to "
                "the folder that has it."
            ) from error
        reason = one_line(error)
        if not isinstance(error, SyntaxError):  # its message already has the place
            places = traceback.extract_tb(error.__traceback__)
            place = next((each for each in reversed(places) if is_users_code(Path(each.filename))), places[-1])
            reason += f" ({place.filename}, line {place.lineno})"
        raise ConfigError(f"{path!r}: {module_name} cannot be imported: {reason}.") from error


class Registry(Generic[T]):
    """The named entries of one package, found by file name and imported on demand."""

    def __init__(self, what: str, package: str, base: str, adapt: str | None = None):
        """Create the registry of a package.

        Args:
            what: what errors call an entry.
            package: the package whose public modules are the entries.
            base: "module:Class" that every entry inherits from, user-defined ones too.
            adapt: "module:function" that makes an entry of a user's plain callable and its dotted path.
        """
        self.what = what
        self._package, self._base, self._adapt = package, base, adapt
        self._entries: dict[str, type[T]] = {}

    def register(self, entry: EntryClass) -> EntryClass:
        """Class decorator: register the entry under the name of its file."""
        self._entries[entry.__module__.rpartition(".")[2]] = entry  # type: ignore[assignment]
        return entry

    @cached_property
    def names(self) -> list[str]:
        """The registered names, sorted; only the package itself is imported."""
        folder = importlib.import_module(self._package).__path__
        return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))

    def __contains__(self, name: str) -> bool:
        return ":" in name or name in self.names

    def get(self, name: str) -> type[T]:
        """The entry called `name`, or the user-defined one at a dotted path.

        Raises:
            ConfigError: there is no such entry.
        """
        if ":" in name:
            return self._users_own(name)
        if name not in self.names:
            raise ConfigError(f"no {self.what} is named {name!r}.{did_you_mean(name, self.names)}")
        importlib.import_module(f"{self._package}.{name}")
        return self._entries[name]

    @property
    def base(self) -> type[T]:
        """The class that every entry inherits from."""
        found: type[T] = load_dotted(self._base)
        return found

    def _users_own(self, path: str) -> type[T]:
        found = load_dotted(path)
        if isinstance(found, type) and issubclass(found, self.base):
            self._check_complete(found, path)
            return found
        if self._adapt is None or not callable(found) or (isinstance(found, type) and issubclass(found, Options)):
            raise ConfigError(f"{path!r} is no {self.what}: it must be a class that inherits from {self._base}.")
        adapt: Callable[[Any, str], type[T]] = load_dotted(self._adapt)
        return adapt(found, path)

    def _check_complete(self, entry: type[Options], path: str) -> None:
        if missing := entry.missing_methods():
            raise ConfigError(
                f"{path!r} lacks {' and '.join(missing)}, without which it is no {self.what}; write what {self._base} "
                "says of it."
            )
        if entry.__init__ is not self.base.__init__:
            raise ConfigError(
                f"{path!r}: must have no __init__ of its own; write options as fields of the class, such as "
                "`part: float = 0.5`."
            )
        check_called_alike(entry, self.base, path)
        check_facts(entry, self.base, path)


DATA_SOURCES: Registry[Any] = Registry("data source", "distill_tune.data.sources", "distill_tune.data.sources:Source")
TEACHERS: Registry[Any] = Registry("teacher source", "distill_tune.teachers.sources", "distill_tune.teachers:Teacher")
STUDENTS: Registry[Any] = Registry(
    "student family",
    "distill_tune.students",
    "distill_tune.students:Student",
    adapt="distill_tune.students:from_callable",
)
LOSSES: Registry[Any] = Registry("loss", "distill_tune.distillation.losses", "distill_tune.distillation.losses:Loss")
OPTIMIZERS: Registry[Any] = Registry(
    "optimizer", "distill_tune.distillation.optimizers", "distill_tune.distillation.optimizers:OptimizerKind"
)
INITIALISATIONS: Registry[Any] = Registry(
    "initialisation",
    "distill_tune.distillation.initialisation",
    "distill_tune.distillation.initialisation:Initialisation",
)
AUGMENTATIONS: Registry[Any] = Registry(
    "augmentation", "distill_tune.distillation.augmentation", "distill_tune.distillation.augmentation:Transform"
)
CORRUPTIONS: Registry[Any] = Registry(
    "corruption", "distill_tune.evaluation.corruptions", "distill_tune.evaluation.corruptions:Corruption"
)
FORMATS: Registry[Any] = Registry("format", "distill_tune.export.formats", "distill_tune.export.formats:Format")
SAMPLERS: Registry[Any] = Registry("sampler", "distill_tune.tuning.samplers", "distill_tune.tuning.samplers:Sampler")
SCHEDULERS: Registry[Any] = Registry(
    "scheduler", "distill_tune.tuning.schedulers", "distill_tune.tuning.schedulers:Scheduler"
)
