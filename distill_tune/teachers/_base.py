"""What a teacher source is, and what it hands over: a frozen network, or only logits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.errors import DataError, TeacherError
from distill_tune.registry import TEACHERS, Options
from distill_tune.students import Student

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from distill_tune.config.sections import TeacherConfig
    from distill_tune.teachers.kept_rows import KeptRows
    from distill_tune.teachers.mixing import Mix


Say = Callable[[str], None]
"""Tells the user something in a line."""


@dataclass(frozen=True)
class DataSpec:
    """What a teacher must fit: the data that it is to label."""

    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_fingerprint: str
    num_rows: int
    """Rows of the source, which a file of logits must have."""


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher ready to label: a module, or a table of logits for the source's rows."""

    parameters: int
    module: nn.Module | None = None
    """Stored-unit inputs [batch, *input_shape] to raw logits [batch, classes]; frozen, in eval mode."""
    table: np.ndarray | KeptRows | None = None
    """float32 [source rows, classes]; once the teacher's outputs are in the cache, all rows but those of training."""
    members: dict[str, LoadedTeacher] = field(default_factory=dict)
    """All of several teachers, by their names."""
    mix: Mix | None = None
    """How several teachers are mixed."""
    record: dict[str, Any] = field(default_factory=dict)
    """How it came to be, as `summary.json` tells it."""

    def mixed(self, mix: Mix | None) -> LoadedTeacher:
        """The same teachers in another mix, with the parameters of those that take part; itself if it is one."""
        if mix is None or not self.members:
            return self
        from distill_tune.teachers.mixing import MixedNetwork

        module = self.module.mixed(mix) if isinstance(self.module, MixedNetwork) else None
        parameters = sum(self.members[name].parameters for name in mix.weights)
        return replace(self, parameters=parameters, module=module, mix=mix)


@dataclass(frozen=True)
class Trained:
    """A network that has just been trained."""

    module: nn.Module
    record: dict[str, Any]
    """How: precision, device, and validation accuracy after each generation."""


@dataclass(frozen=True)
class TeacherContext:
    """What a source may use to make its teacher ready."""

    folder: Path
    """A folder of this teacher's own; what is kept there is found again while its identity holds."""
    fit: Callable[[dict[str, Any]], Trained]
    """Trains a student family to the end on the labels; given the sections of a configuration, and its `passes` and
    `generations`."""
    say: Say


def family_trained_here(config: TeacherConfig) -> Student | None:
    """What the network of a teacher that is trained here will be; None of a teacher that is only loaded."""
    if not Teacher.of(config).trains_here or config.family is None:
        return None
    return Student.of(config)


def unread_keys(section: TeacherConfig) -> list[str]:
    """A warning for each key that is set and that the chosen source does not read, those of an ensemble's members too.

    Such a key may wait for another source, which `--set teacher.source` chooses. But whoever has named a file must hear
    that the teacher is not from there.
    """
    source = Teacher.of(section)
    tables = {"teacher": section}
    tables |= {f"teacher.ensemble.members.{name}": member for name, member in source.member_configs().items()}
    return [
        f"warning: {table}.{key} has no effect, since {table}.source = {each.source!r} does not read it; leave it out, "
        f"or choose a source that does ({_readers_of(key)})"
        for table, each in tables.items()
        for key in Teacher.of(each).ignores
        if getattr(each, key)
    ]


def _readers_of(key: str) -> str:
    return ", ".join(name for name in TEACHERS.names if key not in TEACHERS.get(name).ignores)


def existing_file(config: TeacherConfig) -> Path:
    """The file at `teacher.path`, for a source that needs it.

    Raises:
        TeacherError: no file is there, or an empty one.
    """
    from distill_tune.data.files import existing

    assert config.path is not None, "this source needs it"
    try:
        return existing(config.path, "the teacher's file")
    except DataError as error:
        raise TeacherError(f"teacher.path: {error}") from error


class Teacher(Options):
    """A source of teacher outputs; its fields are the options of its table in `[teacher]`."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Keys of `[teacher]` that this source cannot do without."""
    ignores: ClassVar[tuple[str, ...]] = ()
    """Keys of `[teacher]` that this source does not read; whoever sets one is told (`unread_keys`)."""
    has_network: ClassVar[bool] = True
    """False for a source that hands over logits alone."""
    has_layers: ClassVar[bool] = True
    """False for a source whose network can only be called: no layers to compare with, no weights to begin with."""
    layers_by_family: ClassVar[bool] = False
    """True for a source whose network has layers to compare with only as a copy of `teacher.family`."""
    trains_here: ClassVar[bool] = False
    """True for a source that trains a network of `teacher.family` here, a key that it then `needs`.

    The layers and the size of such a network are known before it is trained, and so is an option `augmentation`.
    """
    fits_folds: ClassVar[bool] = True
    """False for a source whose teacher reads data as they were encoded for it, which those of each fold are not."""

    @classmethod
    def of(cls, section: TeacherConfig) -> Teacher:
        """The source that `[teacher]` names, with its options."""
        return section.chosen("source", cls)

    @classmethod
    def missing_methods(cls) -> list[str]:
        """What is abstract, and `load` of a source that is not several teachers."""
        is_several = cls.member_configs is not Teacher.member_configs
        has_load = is_several or cls.load is not Teacher.load
        return super().missing_methods() + ([] if has_load else ["load"])

    @abstractmethod
    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """What the outputs depend on; another identity is another teacher.

        Raises:
            TeacherError: something that the user named is missing or unusable.
        """

    def member_configs(self) -> dict[str, TeacherConfig]:
        """The section of each teacher by its name, where the source is several; empty for others."""
        return {}

    def mix(self) -> Mix | None:
        """How several teachers are mixed; None of one."""
        return None

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Make the teacher ready; not called for several, whose members are.

        Raises:
            TeacherError: it cannot be loaded or does not fit the data.
        """
        raise NotImplementedError
