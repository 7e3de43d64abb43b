"""Checks that the labels or a teacher's term tell the student which class is which.

A loss on features gives the last layer no gradient, and a loss on the similarity of samples is the same for any order
of the classes (`Loss.identifies`). With all the weight from the first step to the last, such a kind teaches nothing
that predictions could be made from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distill_tune.config.leaves import found_at
from distill_tune.config.loss_corners import losses_in
from distill_tune.config.messages import BrokenRule, dotted, shown
from distill_tune.config.ranges import Choice, Range

if TYPE_CHECKING:
    from distill_tune.config.space import Space


def may_need_labels(space: Space) -> bool:
    """Whether a trial's kind of loss may leave no teacher term to tell the classes apart."""
    return bool(_that_need_labels(space))


def _that_need_labels(space: Space, classes: int | None = None) -> list[tuple[str, Any]]:
    """Such kinds, with the options that make them so; `classes` is the number of classes."""
    silent = [(name, loss) for name, loss in losses_in(space) if not loss.identifies(classes)]
    unsure = {name for name, _ in silent}
    if any(name not in unsure and not _may_lack(space, name) for name in space.added):
        return []
    return [(name, loss) for name, loss in silent if name in space.kinds]


def check_classes_are_named(space: Space, classes: int | None = None) -> None:
    """Refuse a space in which the labels may weigh nothing although the kind of loss needs them.

    `classes` is the number of classes; None if the data have not been read yet.

    Raises:
        BrokenRule: the labels may weigh nothing.
    """
    silent = _that_need_labels(space, classes)
    if silent and _may_be_whole(space, "soft_weight") and _may_be_whole(space, "soft_weight_end"):
        raise _refusal(space, *silent[0], "of two " if classes == 2 else "")


def _refusal(space: Space, kind: str, loss: Any, of: str) -> BrokenRule:
    path = ("loss", "soft_weight")
    got = space.ranges.get(path, shown(found_at(space.tables, path)))
    zeros = [dotted(("loss", kind, name)) for name in loss.naming_weights if not getattr(loss, name)]
    where, mend = (f" where {zeros[0]} is 0", f" give {zeros[0]} a value above 0,") if zeros else ("", "")
    return BrokenRule(
        path,
        f"must be below 1 with kind = {kind!r}, which does not say which class {of}is which{where}, but got {got}.",
        cure=f"Write 0.9 in place of 1,{mend} or add a term that says it, such as loss.also.soft_targets = 1.0.",
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
