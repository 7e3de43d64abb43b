"""The losses of a space, with options at the ends of their ranges, to know beforehand what they need."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from distill_tune.config.ranges import Choice, Range
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from distill_tune.config.space import Space


def losses_in(space: Space) -> list[tuple[str, Any]]:
    """Name and loss for every term in the space, at the corners of the options that decide what it needs."""
    found = list[tuple[str, Any]]()
    for name in dict.fromkeys([*space.kinds, *space.added]):
        kind, fixed = LOSSES.get(name), space.config.loss.tables.get(name, {})
        decisive, weights = {*kind.decisive_options, *kind.naming_weights}, {*kind.weights, *kind.naming_weights}
        ranges = {p[2]: r for p, r in space.ranges.items() if p[:2] == ("loss", name) and p[2] in decisive}
        for values in product(*(_looked_at(each, key in weights) for key, each in ranges.items())):
            loss = _built(kind, {**fixed, **dict(zip(ranges, values, strict=True))})
            found += [] if loss is None else [(name, loss)]
    return found


def _looked_at(found: Range, is_weight: bool) -> list[Any]:
    """Corners; for a weight drawn from a continuous range only the last, since a draw is never exactly 0."""
    corners = list(found.corners())
    return corners if not is_weight or isinstance(found, Choice) or found.integer else corners[-1:]


def _built(kind: Any, table: dict[str, Any]) -> Any:
    """The loss with these options; None if they break a rule together, since such a trial is refused when proposed."""
    try:
        return kind(**table)
    except (ValidationError, ConfigError):
        return None
