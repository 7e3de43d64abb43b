"""Checks that the labels or a teacher's term tell the student which class is which.

A loss on features gives the last layer no gradient, and a loss on the similarity of samples is the same for any order
of the classes (`Loss.names_classes`). With all the weight from the first step to the last, such a kind teaches nothing
that predictions could be made from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_tune.config.leaves import found_at
from distill_tune.config.messages import BrokenRule, shown
from distill_tune.config.ranges import Choice, Range
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from distill_tune.config.space import Space


def kinds_that_need_labels(space: Space, classes: int | None = None) -> list[str]:
    """The kinds of loss that may leave no teacher term to tell the classes apart; `classes` is their number."""
    if any(_names(name, classes) and not _may_lack(space, name) for name in space.added):
        return []
    return [kind for kind in space.kinds if not _names(kind, classes)]


def _names(loss: str, classes: int | None) -> bool:
    kind = LOSSES.get(loss)
    return kind.names_classes and (classes is None or classes >= kind.names_classes_from)


def check_classes_are_named(space: Space, classes: int | None = None) -> None:
    """Refuse a space in which the labels may weigh nothing although the kind of loss needs them.

    `classes` is the number of classes; None if the data have not been read yet.

    Raises:
        BrokenRule: the labels may weigh nothing.
    """
    kinds = kinds_that_need_labels(space, classes)
    if kinds and _may_be_whole(space, "soft_weight") and _may_be_whole(space, "soft_weight_end"):
        path = ("loss", "soft_weight")
        of = " of two" if classes == 2 else ""
        got = space.ranges.get(path, shown(found_at(space.tables, path)))
        raise BrokenRule(
            path,
            f"must be below 1 with kind = {kinds[0]!r}, which does not say which class{of} is which, but got {got}.",
            cure="Write 0.9 in place of 1, or add a term that does, such as loss.also.soft_targets = 1.0.",
        )


def _may_lack(space: Space, added: str) -> bool:
    found = space.ranges.get(("loss", "also", added))
    return found is not None and _hits(found, 0)


def _may_be_whole(space: Space, key: str) -> bool:
    found = space.ranges.get(("loss", key))
    if found is None:
        return getattr(space.config.loss, key) in (1, None)  # without an end, it stays where it began
    return _hits(found, 1)


def _hits(found: Range, value: int) -> bool:
    """Whether a trial has exactly this value with a probability above 0, unlike for a continuous range."""
    return found.contains(value) and (isinstance(found, Choice) or found.integer)
