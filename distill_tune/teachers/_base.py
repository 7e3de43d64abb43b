"""Base class of teacher sources, and what they return: a frozen network, or only logits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
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
"""Prints one line for the user."""


@dataclass(frozen=True)
class DataSpec:
    """Properties of the data that a teacher is to label and must fit."""

    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_fingerprint: str
    num_rows: int
    """Rows of the data source; a file of logits must have as many."""


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher that is ready to label: a module, or a table of logits for the rows of the data source."""

    parameters: int
    module: nn.Module | None = None
    """From inputs [batch, *input_shape] in stored units to raw logits [batch, classes]; frozen, in eval mode."""
    table: np.ndarray | KeptRows | None = None
    """float32 [source rows, classes]; once the teacher's outputs are cached, without the rows used for training."""
    members: dict[str, LoadedTeacher] = field(default_factory=dict)
    """All teachers of an ensemble, by name."""
    mix: Mix | None = None
    """How an ensemble is mixed."""
    record: dict[str, Any] = field(default_factory=dict)
    """How it was made, as recorded in `summary.json`."""

    def mixed(self, mix: Mix | None) -> LoadedTeacher:
        """The same teachers in another mix, counting the parameters of those in use; itself if it is one."""
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
    """How it was trained: precision, device, and validation accuracy after each generation."""


@dataclass(frozen=True)
class TeacherContext:
    """What a source may use to prepare its teacher."""

    folder: Path
    """A folder for this teacher alone; its contents are reused as long as the teacher's identity is the same."""
    fit: Callable[[dict[str, Any]], Trained]
    """Trains a student family to completion on the labels, given the sections of a configuration together with `passes`
    and `generations`."""
    say: Say


def family_trained_here(config: TeacherConfig) -> Student | None:
    """The family of a teacher that is trained here; None for a teacher that is only loaded."""
    if not Teacher.of(config).trains_here or config.family is None:
        return None
    return Student.of(config)


_OF_THE_CACHE = ("views", "keep")
"""Keys of `[teacher]` that only a cached teacher reads."""


def unread_keys(section: TeacherConfig) -> list[str]:
    """A warning for each key that is set but not read by the chosen source (also of ensemble members) or mode.

    Such a key may be meant for another source, chosen with `--set teacher.source`, so it is no error. But users who
    have named a file must know that the teacher is not read from it.
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
    ] + _unread_when_live(section)


def _unread_when_live(section: TeacherConfig) -> list[str]:
    set_keys = [key for key in _OF_THE_CACHE if getattr(section, key)] if section.mode == "live" else []
    return [
        f"warning: teacher.{key} has no effect, since teacher.mode = 'live' labels no views beforehand; leave it out, "
        "or use 'cached'"
        for key in set_keys
    ]


def _readers_of(key: str) -> str:
    return ", ".join(name for name in TEACHERS.names if key not in TEACHERS.get(name).ignores)


def existing_file(config: TeacherConfig) -> Path:
    """The file at `teacher.path`, for a source that needs it.

    Raises:
        TeacherError: the file does not exist or is empty.
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
    """Keys of `[teacher]` that this source requires."""
    ignores: ClassVar[tuple[str, ...]] = ()
    """Keys of `[teacher]` that this source does not read; setting one gives a warning (`unread_keys`)."""
    has_network: ClassVar[bool] = True
    """False for a source that provides only logits."""
    has_layers: ClassVar[bool] = True
    """False for a source whose network can only be called: no layers to compare, no weights to start from."""
    layers_by_family: ClassVar[bool] = False
    """True for a source whose network has layers to compare only when copied into `teacher.family`."""
    trains_here: ClassVar[bool] = False
    """True for a source that trains a network of `teacher.family` here; it then `needs` that key.

    The layers and size of such a network are known before it is trained, and so is an option `augmentation`.
    """
    built_as: ClassVar[str] = "what the teacher is"
    """Where a user finds what `teacher.family` and its table must be, in words."""
    fits_folds: ClassVar[bool] = True
    """False for a source whose teacher needs the data encoding it was trained on, which differs in each fold."""

    @classmethod
    def of(cls, section: TeacherConfig) -> Teacher:
        """The source that `[teacher]` names, with its options."""
        return section.chosen("source", cls)

    @classmethod
    def missing_methods(cls) -> list[str]:
        """Abstract methods, and `load` unless the source is an ensemble."""
        is_several = cls.member_configs is not Teacher.member_configs
        has_load = is_several or cls.load is not Teacher.load
        return super().missing_methods() + ([] if has_load else ["load"])

    @abstractmethod
    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """Everything the outputs depend on; a different identity means a different teacher.

        Raises:
            TeacherError: something that the user named is missing or unusable.
        """

    def member_configs(self) -> dict[str, TeacherConfig]:
        """The section of each member by its name, if the source is an ensemble; empty otherwise."""
        return {}

    def mix(self) -> Mix | None:
        """How an ensemble is mixed; None for a single teacher."""
        return None

    def network_parts(self, config: TeacherConfig) -> Iterable[str]:
        """Names, besides its source's and `teacher.family`, that its network is made of; one with a colon is loaded.

        Raises:
            TeacherError: it cannot be read what they are.
        """
        return ()

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Prepare the teacher; not called for an ensemble, only for its members.

        Raises:
            TeacherError: it cannot be loaded or does not fit the data.
        """
        raise NotImplementedError
