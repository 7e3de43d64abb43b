"""Whether a user's own part can be used as it will be: what its methods take and what it says of itself, as its base.

A method that takes fewer arguments is found here, in a line that names it, and not by the call that fails hours later.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from distill_tune.errors import ConfigError

_OURS = __name__.partition(".")[0]
_KINDS = {bool: "True or False", int: "a whole number", tuple: 'a tuple of names, such as ("path",)'}


def check_called_alike(part: type, base: type, path: str) -> None:
    """Refuse a class of which a method cannot be called as `base` calls its own.

    Args:
        part: the user's class.
        base: of this package, from which it inherits.
        path: where the user's class was found.

    Raises:
        ConfigError: which method, what it must take, and what it takes.
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
    """Refuse a class that says of itself in other words than `base` does what is true, how much, or which names.

    Raises:
        ConfigError: which class variable, and what it must be.
    """
    for name, ours in vars(base).items():
        if name.startswith("_") or type(ours) not in _KINDS:
            continue
        if name in getattr(part, "model_fields", {}):  # which leaves the class with what its base says
            raise ConfigError(f"{path!r}: {name} must be no option; write `{name}: ClassVar[{type(ours).__name__}]`.")
        theirs = getattr(part, name)
        is_such = _are_names(theirs) if isinstance(ours, tuple) else type(theirs) is type(ours)
        if not is_such:
            raise ConfigError(f"{path!r}: {name} must be {_KINDS[type(ours)]}, but is {theirs!r:.60}; mend it.")


def _are_names(given: Any) -> bool:
    return isinstance(given, tuple | list) and all(isinstance(each, str) for each in given)


def _takes(theirs: Callable[..., Any], ours: Callable[..., Any], is_bound: bool) -> bool:
    """By place and by name, as the base's parameters say; what has a default there may be missing.

    Without `self`, where theirs `is_bound` to its class or to nothing.
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
    """Its parameters without their types."""
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(ours).parameters.values()]
    return str(inspect.Signature(bare))
