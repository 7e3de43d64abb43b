"""Several teachers: each is prepared and run once, and trials mix their logits; see `teachers/mixing.py`.

The mix may be searched: `weights`, and the members in `use`, which makes the choice of teacher a search dimension.
"""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from distill_tune.config.messages import BrokenRule, ValuePath, broken_rule, shown
from distill_tune.registry import TEACHERS, closest
from distill_tune.teachers import DataSpec, Teacher

if TYPE_CHECKING:
    from distill_tune.config.sections import TeacherConfig
    from distill_tune.teachers.mixing import Mix

_OF_THE_WHOLE = ("mode", "views", "keep")
"""Keys of `[teacher]` that members cannot set individually."""


@TEACHERS.register
class Ensemble(Teacher):
    """`[teacher.ensemble.members.NAME]`, one or more: each has the keys of a `[teacher]` section."""

    ignores: ClassVar[tuple[str, ...]] = ("path", "family", "trust")
    members: dict[str, Any] = Field(min_length=1)
    """Each member's `[teacher]` keys and tables, by name."""
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Weight of each member, 1 if not named. Each may be a range."""
    use: str | list[str] | None = None
    """Name or list of names of the members that take part; may be a choice. None: all."""
    average: Literal["logits", "probabilities"] = "logits"

    @model_validator(mode="after")
    def _members_are_teachers(self) -> Self:
        for name, table in self.members.items():
            _check_member(name, table)
        self._refuse_twins()
        for name in self.weights:
            self._refuse_stranger(("weights", name), name)
        for name in self.used:
            self._refuse_stranger(("use",), name)
        if not self.used or len(set(self.used)) < len(self.used):
            raise BrokenRule(("use",), f"must name each member that takes part once, but got {shown(self.use)}.")
        return self

    @property
    def used(self) -> list[str]:
        """The names of the members that take part."""
        if self.use is None:
            return list(self.members)
        return [self.use] if isinstance(self.use, str) else self.use

    def member_configs(self) -> dict[str, TeacherConfig]:
        """The section of each member, by name."""
        return {name: _section(table) for name, table in self.members.items()}

    def mix(self) -> Mix:
        """How a trial mixes the members."""
        from distill_tune.teachers.mixing import Mix

        weights = {name: self.weights.get(name, 1.0) for name in self.used}
        total = sum(weights.values())
        return Mix({name: weight / total for name, weight in weights.items()}, self.average)

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The identities of all members; outputs are cached per member, by its own identity."""
        members = self.member_configs()
        told = [f"{name} {each.source} {Teacher.of(each).identity(each, data_spec)}" for name, each in members.items()]
        return hashlib.sha256(" ".join(told).encode()).hexdigest()

    def _refuse_twins(self) -> None:
        """Refuse equal members: they would be one teacher, whose share `weights` sets."""
        told = {name: member.model_dump() for name, member in self.member_configs().items()}
        for one, other in combinations(told, 2):
            if told[one] == told[other]:
                cure = "give it a seed or a file of its own, or leave it out."
                raise BrokenRule(("members", other), f"is the same teacher as {one!r};", cure=cure)

    def _refuse_stranger(self, path: ValuePath, name: str) -> None:
        if name not in self.members:
            near = closest(name, list(self.members))
            hint = f"Did you mean {near!r}?" if near else ""
            raise BrokenRule(path, f"no member is named {name!r}; there are {', '.join(self.members)}.", cure=hint)


def _section(table: Any) -> TeacherConfig:
    from distill_tune.config.sections import TeacherConfig

    return TeacherConfig.model_validate(table)


def _check_member(name: str, table: Any) -> None:
    from distill_tune.config.sections import TeacherConfig

    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise BrokenRule(("members", name), "a member's name has letters, digits, - and _ alone.")
    if not isinstance(table, dict):
        raise BrokenRule(("members", name), f"must be a table like [teacher], but got {shown(table)}.")
    if table.get("source") == "ensemble":
        raise _several(name)
    try:
        member = _section(table)
    except BrokenRule as error:
        raise error.within("members", name) from error
    except ValidationError as error:
        raise broken_rule(error, table, TeacherConfig).within("members", name) from error
    for key in _OF_THE_WHOLE:
        if key in member.model_fields_set:
            raise BrokenRule(("members", name, key), f"is the same for all members; write teacher.{key}.")
    if Teacher.of(member).member_configs():
        raise _several(name)


def _several(name: str) -> BrokenRule:
    return BrokenRule(("members", name, "source"), "a member cannot be several teachers itself; name its members here.")
