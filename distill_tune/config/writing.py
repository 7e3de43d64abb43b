"""A search space as the TOML that a person would write, with each range on one line."""

from typing import Any

import tomli_w

from distill_tune.config.leaves import KeyPath
from distill_tune.config.ranges import Choice, Range
from distill_tune.config.space import Space


def as_toml(space: Space) -> str:
    """The TOML text of a space; reading it gives the same space."""
    marks = {path: f"@{number}@" for number, path in enumerate(space.ranges)}
    text = tomli_w.dumps(_marked(space.tables, (), marks))  # tomli_w would spread each range over several lines
    for path, mark in marks.items():
        text = text.replace(f'"{mark}"', _range(space.ranges[path]))
    return text


def _marked(tables: dict[str, Any], path: KeyPath, marks: dict[KeyPath, str]) -> dict[str, Any]:
    """The tables with each range's mark in place of its first corner."""
    return {
        key: marks.get((*path, key)) or (_marked(value, (*path, key), marks) if isinstance(value, dict) else value)
        for key, value in tables.items()
    }


def _range(found: Range) -> str:
    values = list(found.values) if isinstance(found, Choice) else [found.low, found.high]
    return f"{{ {found.kind} = {_inline(values)} }}"


def _inline(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"value": value}).partition("=")[2].strip()
