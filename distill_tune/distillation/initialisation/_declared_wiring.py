"""Get the wiring that a family declares (`Student.wiring`), and check it if the family is user-defined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from distill_tune.errors import ConfigError, one_line
from distill_tune.registry import STUDENTS
from distill_tune.students import CLASSES, INPUT, Layer, Student, Wiring, empty_network

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.config.sections import StudentConfig, TeacherConfig
    from distill_tune.distillation.initialisation._base import Shapes


def declares_wiring(family: type[Student]) -> bool:
    """Whether a family declares how its layers are connected; a user's function or module class does not."""
    return family.wiring is not Student.wiring


def check_declares_wiring(config: Config, shapes: Shapes) -> None:
    """Check how the family of teacher and student declares that its layers are connected.

    Raises:
        ConfigError: it declares nothing, or it is user-defined and its declaration is wrong.
    """
    name = config.student.family
    if not declares_wiring(STUDENTS.get(name)):
        known = ", ".join(each for each in STUDENTS.names if declares_wiring(STUDENTS.get(each)))
        raise ConfigError(
            f"student.init: {config.student.init!r} knows the layers of {known}, but not those of {name!r}; choose "
            "another init, or make it a class that inherits from distill_tune.students:Student and has a method wiring."
        )
    if name not in STUDENTS.names:  # built-in families are covered by tests
        ours = declared_wiring(Student.of(config.student), name, shapes)
        theirs = declared_wiring(Student.of(config.teacher), name, shapes, "teacher")
        _check_same_inputs(name, ours, theirs)
        _check_weights_are_kept(name, [*ours.layers, *theirs.layers])


def _check_weights_are_kept(name: str, layers: list[Layer]) -> None:
    """Refuse layers that compute their weights from other tensors, whose rows need not be units."""
    computed = next((layer.name for layer in layers if "weight" not in layer.module.state_dict()), None)
    if computed is not None:
        raise ConfigError(
            f"student.init: the layer {computed!r} of {name!r} must keep its weight itself, but computes it, as weight "
            "or spectral normalisation does; leave that out, or choose another init."
        )


def _check_same_inputs(name: str, ours: Wiring, theirs: Wiring) -> None:
    mine, other = (wiring.sizes.get(INPUT) for wiring in (ours, theirs))
    if mine is not None and other is not None and mine != other:  # CLASSES is the data's in both
        raise ConfigError(
            f"student.family: {name!r} must have the same units of INPUT in teacher and student, but has {other} and "
            f"{mine}; give both the same options there, or leave the layer that reads it out of the wiring."
        )


def shows_all(config: Config) -> bool:
    """Whether teacher and student with the same `repr` differ only in their weights.

    Built-in families do. A user-defined network may have a factor that its `repr` does not show.
    """
    return config.student.family in STUDENTS.names or Student.of(config.teacher) == Student.of(config.student)


def declared_wiring(
    family: Student, name: str, shapes: Shapes, section: Literal["student", "teacher"] = "student"
) -> Wiring:
    """The wiring of a network of this family, built without values.

    Args:
        family: with the options of `[student]` or of `[teacher]`.
        name: of the family.
        shapes: of the data.
        section: whose options they are.

    Raises:
        ConfigError: the family cannot build the network, or declares a wrong wiring for it.
    """
    network = empty_network(family, shapes.input_shape, shapes.classes)
    cannot = f"{section}.family: {name!r} cannot say how its layers hang together:"
    try:
        wiring = family.wiring(network)
    except Exception as error:  # user code may raise anything
        raise ConfigError(f"{cannot} {error if isinstance(error, ConfigError) else one_line(error)}") from error
    if not isinstance(wiring, Wiring):
        raise ConfigError(f"{cannot} wiring must return a distill_tune.students.Wiring, but got {wiring!r:.80}.")
    if (made := wiring.sizes.get(CLASSES)) != shapes.classes:
        raise ConfigError(f"{cannot} a layer must make the {shapes.classes} units of CLASSES, but got {made}.")
    return wiring


def wiring_of(section: StudentConfig | TeacherConfig, network: nn.Module) -> Wiring:
    """The wiring of the student's or the teacher's `network`, which excludes the normalisation of its inputs."""
    wiring = Student.of(section).wiring(network)
    assert isinstance(wiring, Wiring), "as `check` says"
    return wiring
