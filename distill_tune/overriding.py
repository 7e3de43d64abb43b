"""Checks that a user-defined part fits its base class: the signatures of its methods and its class variables.

A method that takes too few arguments is reported here by name, and not by a call that fails hours later.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from distill_tune.errors import ConfigError

_OURS = __name__.partition(".")[0]
_KINDS = {bool: "True or False", int: "a whole number", tuple: 'a tuple of names, such as ("path",)'}


def check_called_alike(part: type, base: type, path: str) -> None:
    """Refuse a class with a method that cannot be called like that of `base`.

    Args:
        part: the user-defined class.
        base: the class of this package that it inherits from.
        path: where the user-defined class was found.

    Raises:
        ConfigError: a method does not fit; with what it must take and what it takes.
    """
    for name, ours in inspect.getmembers(base, inspect.isfunction):
        theirs = getattr(part, name)
        if name.startswith("_") or theirs is ours or not ours.__module__.startswith(f"{_OURS}."):
            continue
        if inspect.iscoroutinefunction(theirs):
            raise ConfigError(f"{path!r}: {name} must be no async function, for nobody waits for it; write `def`.")
        is_bound = isinstance(inspect.getattr_static(part, name), staticmethod | classmethod)
        if not (callable(theirs) and _takes(theirs, ours, is_bound)):
            found = inspect.signature(theirs) if callable(theirs) else repr(theirs)
            raise ConfigError(f"{path!r}: {name} must take {_named(ours)}, but takes {found}; mend it.")


def check_facts(part: type, base: type, path: str) -> None:
    """Refuse a class whose booleans, integers or tuples of names have another type than those of `base`.

    Raises:
        ConfigError: a class variable has another type; names it and what it must be.
    """
    for name, ours in vars(base).items():
        if name.startswith("_") or type(ours) not in _KINDS:
            continue
        if name in getattr(part, "model_fields", {}):  # a field, so the class variable keeps the base's value
            raise ConfigError(f"{path!r}: {name} must be no option; write `{name}: ClassVar[{type(ours).__name__}]`.")
        theirs = getattr(part, name)
        is_such = _are_names(theirs) if isinstance(ours, tuple) else type(theirs) is type(ours)
        if not is_such:
            raise ConfigError(f"{path!r}: {name} must be {_KINDS[type(ours)]}, but is {theirs!r:.60}; mend it.")


def _are_names(given: Any) -> bool:
    return isinstance(given, tuple | list) and all(isinstance(each, str) for each in given)


def _takes(theirs: Callable[..., Any], ours: Callable[..., Any], is_bound: bool) -> bool:
    """Whether `theirs` accepts the parameters of `ours` that have no default, by position and by name.

    `self` is left out if `theirs` `is_bound`, that is, a class method or static method.
    """
    needed = [p for p in inspect.signature(ours).parameters.values() if p.default is p.empty]
    by_place = [p.name for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p.name for p in needed if p.kind is p.KEYWORD_ONLY]
    try:
        inspect.signature(theirs).bind(*by_place[is_bound:], **dict.fromkeys(by_name))
    except TypeError:
        return False
    return True


def _named(ours: Callable[..., Any]) -> str:
    """The signature without annotations."""
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(ours).parameters.values()]
    return str(inspect.Signature(bare))
