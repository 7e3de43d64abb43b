"""A Keras teacher: a whole model in a .h5 or .keras file, read by Keras 3 on its torch backend.

No code from the file runs (Keras' `safe_mode`), unless `teacher.trust` allows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.errors import ConfigError, TeacherError
from distill_tune.registry import TEACHERS, load_dotted
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext, existing_file
from distill_tune.teachers._network import NetworkTeacher
from distill_tune.users_code import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from distill_tune.config.sections import TeacherConfig


_FORMAT = 3
"""Increased when the same file comes to give different logits."""


@TEACHERS.register
class Keras(NetworkTeacher):
    """`[teacher] source = "keras", path = "high_dimensional_model.h5"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    layers_by_family: ClassVar[bool] = True
    custom_objects: dict[str, str] = Field(default_factory=dict)
    """Name of a custom layer in the file to the dotted path of its class."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The file's checksum, the options, the source code of custom layers, and Keras' version."""
        from distill_tune.checksum import sha256_of
        from distill_tune.teachers._keras import import_keras

        version = import_keras().__version__
        told = f"{sha256_of(_file(config))} {self.options_as_text} {config.trust} {self._own_sources()}"
        return f"{_FORMAT} {told} {version}"

    def network_parts(self, config: TeacherConfig) -> Iterable[str]:
        """The classes of custom layers."""
        return self.custom_objects.values()

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Open the model, remove its softmax, arrange its inputs, and try two samples.

        If `teacher.family` names the model's architecture, the network is of that family, with the model's weights.
        """
        from distill_tune.teachers._keras import KerasFile, KerasNetwork

        self.normalisation(data_spec)  # refused before the model is opened
        path = _file(config)
        file = KerasFile(path.name, path.read_bytes(), self.custom_objects, config.trust)
        network = KerasNetwork(file, data_spec.input_shape, len(data_spec.classes))
        if network.says:
            context.say(f"teacher: {network.says}")
        if config.family is None:
            return self.ready(network, data_spec)
        from distill_tune.teachers._keras_weights import as_family

        return self.ready(as_family(network, config, data_spec), data_spec)

    def _own_sources(self) -> list[str]:
        try:
            return [source_of(load_dotted(path)) for path in self.custom_objects.values()]
        except ConfigError as error:
            raise TeacherError(f"teacher.keras.custom_objects: {error}") from error


def _file(config: TeacherConfig) -> Path:
    path = existing_file(config)
    if path.suffix not in (".h5", ".keras"):
        raise TeacherError(
            f"teacher.path: Keras models are read from .h5 and .keras files, but got {path.name!r}; save it as one of "
            "them with model.save()."
        )
    return path
