"""What every student family is: options that build a network for an input shape and a number of classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS, Options

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config.sections import StudentConfig, TeacherConfig
    from distill_tune.students._wiring import Wiring

FirstStride = Annotated[int, Field(ge=1, le=2)] | None
"""Stride of a network's first convolution: 2 looks at a quarter of the places and is about four times as fast, 1 sees
finer detail. None: 2 for images of 24 pixels and more, 1 for smaller ones."""


class Student(Options):
    """A family of networks; its fields are its options.

    An image has the shape (channels, height, width), a row of a table the shape (features,).
    """

    for_tables: ClassVar[bool] = True
    """Whether the family can read rows of a table; every family can read images."""

    @classmethod
    def of(cls, section: StudentConfig | TeacherConfig) -> Student:
        """The family that `[student]` or `[teacher]` names, with its options."""
        return section.chosen("family", cls)

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """A fresh network: float32 normalised inputs [batch, *input_shape] to logits [batch, classes].

        Raises:
            ConfigError: the family has no network for this shape.
        """

    def wiring(self, network: nn.Module) -> Wiring:
        """How the layers of a network that `build` made hang together; it may be one without numbers.

        With it a student can begin with the largest units of a teacher of its family (`inherit`), or with its first
        layers (`truncate`). A family that says nothing of it leaves this method out.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method wiring.")


class Samples(Protocol):
    """What of data decides how a student is built; a `Dataset` has it, and what a teacher is told of one."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def mean(self) -> tuple[float, ...]:
        """As `build_student` has it."""

    @property
    def std(self) -> tuple[float, ...]:
        """Likewise."""


def student_on(family: Student, data: Samples) -> nn.Module:
    """The network that `build_student` makes for these data."""
    return build_student(family, data.input_shape, len(data.classes), data.mean, data.std)


def build_student(
    family: Student,
    input_shape: tuple[int, ...],
    classes: int,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> nn.Module:
    """The network of `family` behind its own normalisation, so that whoever has the student has all of it.

    Args:
        family: The options of the network.
        input_shape: Of one sample: (channels, height, width) or (features,).
        classes: The number of logits.
        mean: One value a channel (or feature) in the units of the raw inputs; none leaves inputs unshifted.
        std: Likewise; each input becomes `(input - mean) / std`. A constant channel may have 0, which divides
            by 1.

    Returns:
        A module from inputs [batch, *input_shape], of any number type, to logits [batch, classes]. The keys
        of its state dict start with `network.` and, unless it is for a table that is normalised already,
        `normalise.`.

    Raises:
        ConfigError: the family has no network for this shape.
    """
    return behind_normalisation(family.build(input_shape, classes), input_shape, mean, std)


def behind_normalisation(
    network: nn.Module, input_shape: tuple[int, ...], mean: Sequence[float] = (), std: Sequence[float] = ()
) -> nn.Module:
    """`network` behind the normalisation of its inputs; see `build_student`."""
    from distill_tune.students._blocks import Normalise, Normalised

    if len(input_shape) == 1 and not mean:
        return Normalised(None, network)
    return Normalised(Normalise(input_shape, mean, std), network)


def empty_network(family: Student, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A network of which only names and shapes are looked at; draws nothing from torch's generators.

    It has no numbers, but for one of a user's family that cannot be built without them.

    Raises:
        ConfigError: the family has no network for this shape.
    """
    import torch

    from distill_tune.students._counting import FewNumbers

    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"), FewNumbers():
                return family.build(input_shape, classes)
        except Exception:  # any, as of `.numpy()` a TypeError: the second build raises what is no matter of numbers
            return family.build(input_shape, classes)


def first_stride(input_shape: tuple[int, ...]) -> int:
    """The stride of the first convolution where the options leave it open."""
    return 2 if min(input_shape[1:]) >= 24 else 1


def require_image(name: str, input_shape: tuple[int, ...]) -> None:
    """Refuse rows of a table for the family called `name`.

    Raises:
        ConfigError: the shape is not (channels, height, width).
    """
    if len(input_shape) != 3:
        others = ", ".join(other for other in STUDENTS.names if STUDENTS.get(other).for_tables)
        shape = "x".join(map(str, input_shape))
        raise ConfigError(
            f"student.family: {name} needs images (channels, height, width), but a sample is {shape}; "
            f"for tables there are: {others}."
        )


def from_callable(function: Any, path: str = "") -> type[Student]:
    """A family made of a user's `build(input_shape, classes, **options)`; see `_users_own.py`."""
    from distill_tune.students._users_own import family_of

    return family_of(function, path)
