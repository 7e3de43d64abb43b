"""How a broken rule is reported: the key, the rule, the value and the way out, in one line.

loss.temperature: must be greater than 0, but got -3.
student.convnet.width: must be an integer, but got [4, 8]. To choose one of them, write { choice = [4, 8] }.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from distill_tune.errors import ConfigError
from distill_tune.registry import Options, closest, did_you_mean

ValuePath = tuple[str | int, ...]
"""The path of a value: section, key, and so on down to a list index."""

UNKNOWN_KEY = "extra_forbidden"
NUMBER_RULES = ("int_type", "float_type")
"""Pydantic's names for the rules broken by an unknown key and by values that are not numbers."""

_MOST_SHOWN = 80

_WORDS = {
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "a string",
    "a valid list": "a list",
    "a valid dictionary": "a table",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""Pydantic's wording to that of TOML."""


class BrokenRule(ConfigError):
    """The value of one key breaks a rule."""

    def __init__(self, path: ValuePath, rule: str, kind: str = "", value: Any = None, cure: str = ""):
        """`kind` is pydantic's name for the rule, such as "int_type"; `rule` and `cure` are whole sentences."""
        super().__init__(path, rule, kind, value, cure)  # all arguments, so that the error survives pickling
        self.path, self.rule, self.kind, self.value, self.cure = path, rule, kind, value, cure

    def __str__(self) -> str:
        return " ".join(filter(None, [f"{dotted(self.path)}:", self.rule, self.cure]))

    def within(self, *outer: str) -> BrokenRule:
        """The same error with its path prefixed by `outer`."""
        return BrokenRule((*outer, *self.path), self.rule, self.kind, self.value, self.cure)

    def advised(self, cure: str) -> BrokenRule:
        """The same error with another cure; an empty one changes nothing."""
        return BrokenRule(self.path, self.rule, self.kind, self.value, cure or self.cure)


def dotted(path: Iterable[str | int]) -> str:
    """`("student", "mlp", "widths", 1)` as `student.mlp.widths[1]`; keys are quoted if TOML needs it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path).removeprefix(".")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, separated by commas."""
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)


def named_apart(names: Sequence[str], most: int = 5) -> str:
    """`listed` for user-given names, quoted if they could be mistaken for two names or for none."""
    return listed([repr(name) if "," in name or name != name.strip() or not name else name for name in names], most)


def shown(value: Any) -> str:
    """A value as written in TOML, on one line and truncated if long."""
    text = _written(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]} ..."


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_written(each)}' for key, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def unknown_key(path: ValuePath, known: list[str], elsewhere: Mapping[str, str] | None = None) -> BrokenRule:
    """The error for a key that is not among `known`; `elsewhere` says what to write for names of other tools."""
    name = str(path[-1])
    told = (elsewhere or {}).get(name)
    hint = f" {told} Known: {', '.join(known)}." if told else did_you_mean(name, known)
    return BrokenRule(path, f"unknown key.{hint}", UNKNOWN_KEY)


def broken_rule(error: ValidationError, table: Mapping[str, Any], model: type[Options]) -> BrokenRule:
    """The first error that pydantic found in `table`; for an unknown key, those of `model` are suggested."""
    details = error.errors(include_url=False)
    first, path = details[0], _path_in(table, details[0])
    if first["type"] == UNKNOWN_KEY:
        return unknown_key(path, list(model.model_fields), model.elsewhere)
    if first["type"] == "missing":
        return BrokenRule(path, "this key is required.", "missing")
    if not path:  # a rule about several keys names them itself
        return BrokenRule(path, f"{_rule(first)}.", first["type"])
    rules = dict.fromkeys(_rule(each) for each in details if _path_in(table, each) == path)
    rule = f"{_either(list(rules))}, but got {shown(first['input'])}."
    return BrokenRule(path, rule, first["type"], first["input"], _cure(first))


def _path_in(table: Any, detail: ErrorDetails) -> ValuePath:
    """The path of the value; pydantic's own location also contains the names of union members."""
    path: ValuePath = ()
    for part in detail["loc"]:
        if _is_in(table, part):
            path, table = (*path, part), table[part]
        elif detail["type"] == "missing":
            path = (*path, part)
    return path


def _is_in(table: Any, part: int | str) -> bool:
    """Whether part of pydantic's location is a key of this table or a place in this list."""
    return part in table if isinstance(table, dict) else isinstance(table, list) and isinstance(part, int)


def _rule(detail: ErrorDetails) -> str:
    """`must be an integer` for pydantic's `Input should be a valid integer, got a number with a fractional part`."""
    text = re.sub(r"^\w+ should ", "must ", detail["msg"].removeprefix("Value error, "))
    text = re.split(r", unable|, got| after validation", text)[0]
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text.removesuffix(".")


def _either(rules: list[str]) -> str:
    """The rules of all members of a union, joined into one."""
    wider = [rule for rule in rules if not (rule == "must be an integer" and "must be a number" in rules)]
    return " or ".join(wider).replace(" or must be ", " or ")


def _cure(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "literal_error" and isinstance(value, str):
        near = closest(value, re.findall(r"'([^']*)'", detail["ctx"]["expected"]))
        return f"Did you mean {near!r}?" if near else ""
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"Write {int(value)}."
    if kind in NUMBER_RULES and isinstance(value, str):
        return _unquoted(value, is_integer=kind == "int_type")
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f"Write '{value}' in quotes."
    return ""


def _unquoted(text: str, is_integer: bool) -> str:
    """How to write the number that a text is; TOML wants digits on both sides of the point, unlike other languages."""
    found = re.fullmatch(r"[+-]?(?:(?:0|[1-9]\d*)(\.\d*)?|(\.\d+))([eE][+-]?\d+)?", text)
    if not found or (is_integer and not float(text).is_integer()):
        return ""
    fraction, bare, exponent = found.groups()
    if is_integer and (fraction or bare or exponent):
        return f"Write {int(float(text))}."
    return f"Write {float(text)}." if fraction == "." or bare else f"Write {text} without quotes."
