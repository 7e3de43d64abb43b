"""A user-defined function or module class as a student family.

The parameters after `input_shape` and `classes` become the family's fields, so a misspelt or missing option is refused
when the configuration is read, as for any built-in family.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, StrictInt, create_model

from distill_tune.errors import ConfigError, one_line
from distill_tune.students._base import Student

if TYPE_CHECKING:
    from torch import nn

_create: Any = create_model
"""Untyped: the type checker treats the call as a class statement and misses its base."""

GIVEN = ("input_shape", "classes")
MUST_BE = "must be a function or an nn.Module class"


class UsersOwn(Student):
    """Calls the user's function with the configured options."""

    # Not strict: TOML has only lists, and the function may expect a tuple.
    model_config = ConfigDict(
        strict=False, extra="forbid", frozen=True, arbitrary_types_allowed=True, protected_namespaces=()
    )
    _function: ClassVar[Callable[..., Any]]
    _path: ClassVar[str]

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network that the user's function returns.

        Raises:
            ConfigError: the function raised an error, or returned something other than a module with trainable weights.
        """
        from torch import nn

        options = {name: getattr(self, name) for name in type(self).model_fields} | (self.model_extra or {})
        try:
            network = type(self)._function(input_shape=input_shape, classes=classes, **options)
        except Exception as error:  # whatever it is, it comes from the user's code
            raise ConfigError(
                f"student.family: {self._path!r} cannot build {options} for samples of shape {input_shape}: "
                f"{one_line(error).rstrip('.')}; mend it, or give it other options."
            ) from error
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise ConfigError(f"student.family: {self._path!r} must return a torch.nn.Module, but got {kind}.")
        self._check_weights(network)
        return network

    def _check_weights(self, network: nn.Module) -> None:
        from torch.nn.parameter import is_lazy

        weights = list(network.parameters())
        if any(map(is_lazy, weights)):
            raise ConfigError(
                f"student.family: {self._path!r} has layers that take their sizes from the first batch (LazyLinear and "
                "the like); give the sizes, which follow from input_shape."
            )
        if not any(weight.requires_grad for weight in weights):
            raise ConfigError(f"student.family: {self._path!r} has no weights that train; let some require gradients.")


class FreeUsersOwn(UsersOwn):
    """A family of a function that takes any options."""

    model_config = ConfigDict(extra="allow")


def family_of(function: Any, path: str = "") -> type[UsersOwn]:
    """The family whose fields are the options of `function(input_shape, classes, **options)`, found at a dotted path.

    Raises:
        ConfigError: it is not a function or class with a readable signature, does not take `input_shape` and `classes`,
            or has an option whose name pydantic does not allow.
    """
    _check_has_a_name(function, path)
    path = path or f"{function.__module__}:{function.__qualname__}"
    parameters = _parameters(function, path)
    if missing := [name for name in GIVEN if name not in parameters]:
        raise ConfigError(f"{path!r}: must take input_shape and classes, but has no {missing[0]}.")
    options = [parameter for name, parameter in parameters.items() if name not in GIVEN]
    if clash := [p.name for p in options if hasattr(UsersOwn, p.name) or p.name.startswith("_")]:
        raise ConfigError(f"{path!r}: no option can be called {clash[0]!r}; give it another name.")
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in options)
    fields: dict[str, Any] = {p.name: _field(p) for p in options if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    base = FreeUsersOwn if free else UsersOwn
    made: type[UsersOwn] = _create(function.__name__, __base__=base, __module__=function.__module__, **fields)
    made._function, made._path = function, path
    return made


def _check_has_a_name(function: Any, path: str) -> None:
    """Refuse a callable instance, which has no name of its own and no source to keep track of."""
    if not (isinstance(function, type) or hasattr(function, "__qualname__")):
        kind = type(function).__name__
        raise ConfigError(f"{path!r}: {MUST_BE}, but is an object of class {kind}; name what makes one.")


def _parameters(function: Any, path: str) -> dict[str, inspect.Parameter]:
    try:
        return dict(_signature(function).parameters)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path!r}: {MUST_BE}, but is {function!r:.80}, which does not say what it takes.") from error


def _signature(function: Any) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that only a type checker can resolve
        return inspect.signature(function)


def _field(parameter: inspect.Parameter) -> tuple[Any, Any]:
    """Type and default of one option; without a usable annotation, any value is accepted.

    `int` is strict: otherwise a range of floats would seem to fit, although it hardly ever would.
    """
    kind = parameter.annotation
    if kind is parameter.empty or isinstance(kind, str):
        kind = Any
    elif kind is int:
        kind = StrictInt
    return kind, ... if parameter.default is parameter.empty else parameter.default
