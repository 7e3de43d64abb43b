"""Base class of student families: options that build a network for an input shape and a number of classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS, Options

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config.sections import StudentConfig, TeacherConfig
    from distill_tune.students._wiring import Wiring

FirstStride = Annotated[int, Field(ge=1, le=2)] | None
"""Stride of a network's first convolution: 2 evaluates a quarter of the places and is about four times as fast, 1 sees
finer detail. None: 2 for images of at least 24 pixels, 1 for smaller ones."""


class Student(Options):
    """A family of networks; its fields are its options.

    An image has the shape (channels, height, width), a row of a table the shape (features,).
    """

    for_tables: ClassVar[bool] = True
    """Whether the family accepts rows of a table; every family accepts images."""

    @classmethod
    def of(cls, section: StudentConfig | TeacherConfig) -> Student:
        """The family that `[student]` or `[teacher]` names, with its options."""
        return section.chosen("family", cls)

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """A new network from float32 normalised inputs [batch, *input_shape] to logits [batch, classes].

        Raises:
            ConfigError: the family has no network for this shape.
        """

    def without_effect(self, input_shape: tuple[int, ...]) -> Mapping[str, str]:
        """Options that change nothing beside the values of the others, or for this shape, with the reason for each."""
        return {}

    def wiring(self, network: nn.Module) -> Wiring:
        """How the layers of a network from `build` are connected; the network may be on the meta device.

        This lets a student start from the largest units of a teacher of its family (`inherit`), or from its first
        layers (`truncate`). A family that supports neither omits this method.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method wiring.")


class Samples(Protocol):
    """The properties of data that determine how a student is built; `Dataset` and `DataSpec` have them."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def mean(self) -> tuple[float, ...]:
        """As for `build_student`."""

    @property
    def std(self) -> tuple[float, ...]:
        """As for `build_student`."""


def student_on(family: Student, data: Samples) -> nn.Module:
    """The network that `build_student` makes for this data."""
    return build_student(family, data.input_shape, len(data.classes), data.mean, data.std)


def build_student(
    family: Student,
    input_shape: tuple[int, ...],
    classes: int,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> nn.Module:
    """The network of `family` with its input normalisation in front, so that the student is self-contained.

    Args:
        family: The options of the network.
        input_shape: Shape of one sample: (channels, height, width) or (features,).
        classes: The number of logits.
        mean: One value per channel (or feature) in the units of the raw inputs; if empty, inputs are not shifted.
        std: Likewise; each input becomes `(input - mean) / std`. A constant channel may have 0, which counts as 1.

    Returns:
        A module from inputs [batch, *input_shape] of any numeric type to logits [batch, classes]. The keys of its
        state dict start with `network.` and, unless it is for a table that is normalised already, `normalise.`.

    Raises:
        ConfigError: the family has no network for this shape.
    """
    return behind_normalisation(family.build(input_shape, classes), input_shape, mean, std)


def behind_normalisation(
    network: nn.Module, input_shape: tuple[int, ...], mean: Sequence[float] = (), std: Sequence[float] = ()
) -> nn.Module:
    """`network` with the normalisation of its inputs in front; see `build_student`."""
    from distill_tune.students._blocks import Normalise, Normalised

    if len(input_shape) == 1 and not mean:
        return Normalised(None, network)
    return Normalised(Normalise(input_shape, mean, std), network)


def empty_network(family: Student, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A network for inspecting names and shapes only; torch's random state is left untouched.

    It is on the meta device, unless a user-defined family cannot be built there.

    Raises:
        ConfigError: the family has no network for this shape.
    """
    import torch

    from distill_tune.students._counting import FewNumbers

    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"), FewNumbers():
                return family.build(input_shape, classes)
        except Exception:  # e.g. TypeError from `.numpy()`; errors unrelated to the meta device recur below
            return family.build(input_shape, classes)


def first_stride(input_shape: tuple[int, ...]) -> int:
    """The default stride of the first convolution."""
    return 2 if min(input_shape[1:]) >= 24 else 1


def require_image(name: str, input_shape: tuple[int, ...]) -> None:
    """Refuse rows of a table for the family `name`.

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
    """A family made from a user-defined `build(input_shape, classes, **options)`; see `_users_own.py`."""
    from distill_tune.students._users_own import family_of

    return family_of(function, path)
