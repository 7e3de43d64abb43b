"""The interface of an initialisation, which sets the weights of a newly built student before its first step.

One that starts from the teacher's weights declares it (`needs_teacher`) and refuses beforehand what it cannot do; a
space is refused if any of its students would be.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, ClassVar

from distill_tune.config.corners import combinations
from distill_tune.errors import ConfigError
from distill_tune.registry import INITIALISATIONS, Options

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config, Space
    from distill_tune.config.sections import StudentConfig
    from distill_tune.data import Dataset
    from distill_tune.distillation.holding import Hold
    from distill_tune.distillation.materials.materials import Materials

_MOST_STUDENTS = 500
"""Students checked beforehand per initialisation and family; any other that cannot begin fails in its own trial."""


@dataclass(frozen=True)
class Shapes:
    """The part of the data that, together with its options, determines the shape of a network."""

    input_shape: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, dataset: Dataset) -> Shapes:
        """The shapes of a data set."""
        return cls(dataset.input_shape, len(dataset.classes))


class Initialisation(Options):
    """A way to set a student's first weights; its fields are its options."""

    needs_teacher: ClassVar[bool] = False
    """Whether it reads the teacher's weights."""

    @classmethod
    def of(cls, section: StudentConfig) -> Initialisation:
        """The initialisation that `[student]` names, with its options."""
        return section.chosen("init", cls)

    def check(self, config: Config, shapes: Shapes) -> None:
        """Check a configuration before anything is trained.

        Raises:
            ConfigError: this student cannot begin this way.
        """

    def check_weights(self, config: Config, shapes: Shapes, teacher: nn.Module) -> None:
        """Check the teacher itself before any student is trained; called if `needs_teacher`.

        Raises:
            TeacherError: a student of this configuration cannot begin with these weights.
        """
        from distill_tune.distillation.initialisation._reading import check_reading

        check_reading(config.student.init, shapes.input_shape, teacher)

    def reads_family(self, config: Config) -> bool:
        """Whether it assumes that the teacher's weights are those of `teacher.family`; called if `needs_teacher`."""
        return True

    @abstractmethod
    def begin(self, student: nn.Module, config: Config, materials: Materials) -> Hold | None:
        """Set the weights of `student`, newly built from the seed, in place; the same on every worker of a trial.

        Returns:
            The weights that are held still for a while, if any.
        """


def check_beginnings(space: Space, shapes: Shapes) -> None:
    """Refuse a space with a student that could not begin as configured.

    Raises:
        ConfigError: a student and an initialisation of the space are incompatible.
    """
    for config in _students(space):
        Initialisation.of(config.student).check(config, shapes)


def check_teachers_weights(space: Space, shapes: Shapes, teacher: nn.Module) -> None:
    """Refuse a teacher whose weights do not allow every student of the space to begin as configured.

    Raises:
        TeacherError: they are incompatible, or the teacher is not what `teacher.family` says.
    """
    from distill_tune.distillation.cache.weights import check_fits

    reads_family = any(Initialisation.of(config.student).reads_family(config) for config in _students(space))
    if reads_family and space.config.teacher.family is not None:
        check_fits(space.config, shapes.input_shape, shapes.classes, teacher)
    for config in _students(space):
        Initialisation.of(config.student).check_weights(config, shapes, teacher)


def _students(space: Space) -> Iterator[Config]:
    """Students at the corners of their ranges, for each family and each initialisation that needs the teacher."""
    for name, family in product(space.inits, space.families):
        if INITIALISATIONS.get(name).needs_teacher:
            own = {path: found for path, found in space.ranges.items() if path[:2] == ("student", name)}
            chosen = {"student.family": family, "student.init": name}
            corners = combinations(space.ranges_of(family) | own)
            yield from (space.at(chosen | values) for values in islice(corners, _MOST_STUDENTS))


def check_family(config: Config) -> None:
    """Refuse a teacher whose family is not the student's.

    Raises:
        ConfigError: they differ, or the teacher's family is not known.
    """
    init, ours, theirs = config.student.init, config.student.family, config.teacher.family
    if theirs is None:
        from distill_tune.teachers import Teacher

        raise ConfigError(
            f"student.init: {init!r} must know how the teacher is built, but teacher.family is not set; set it, and "
            f"its table, to {Teacher.of(config.teacher).built_as}, or choose another init."
        )
    if ours != theirs:
        raise ConfigError(
            f"student.init: {init!r} needs a student of the teacher's family ({theirs!r}), but got {ours!r}; make both "
            f"one family, or choose another init."
        )
