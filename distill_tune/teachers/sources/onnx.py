"""An ONNX teacher: a model of any framework in a .onnx file, run by ONNX Runtime. No code from the file runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from distill_tune.errors import TeacherError
from distill_tune.registry import TEACHERS
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext, existing_file
from distill_tune.teachers._network import NetworkTeacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distill_tune.config.sections import TeacherConfig
    from distill_tune.teachers._onnx import OnnxModel


@TEACHERS.register
class Onnx(NetworkTeacher):
    """`[teacher] source = "onnx", path = "teacher.onnx"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    ignores: ClassVar[tuple[str, ...]] = ("family", "trust")
    has_layers: ClassVar[bool] = False
    output: str | None = None
    """Name of the output with the logits or probabilities, if several outputs are floats."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The checksum of the model, including its external data, and the options."""
        from hashlib import sha256

        return f"{sha256(self._model(config).content).hexdigest()} {self.options_as_text}"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Open the model, remove its softmax, arrange its inputs, and try two samples."""
        from distill_tune.teachers._onnx import OnnxNetwork

        model = self._model(config)
        units = self._units(model, data_spec)
        network = OnnxNetwork(model, data_spec.input_shape, len(data_spec.classes))
        if network.says:
            context.say(f"teacher: {network.says}")
        return replace(self.ready(network, data_spec, units), parameters=model.num_weights)

    def _model(self, config: TeacherConfig) -> OnnxModel:
        from distill_tune.teachers._onnx import read_onnx

        return read_onnx(existing_file(config), self.output)

    def _units(self, model: OnnxModel, data_spec: DataSpec) -> tuple[Sequence[float], Sequence[float]]:
        """As `normalisation`, but a model that reads bytes gets pixels as they are stored."""
        if model.dtype != "uint8":
            return self.normalisation(data_spec)
        channels = data_spec.input_shape[0]
        if len(data_spec.input_shape) != 3 or self.mean is not None or self.std is not None:
            raise TeacherError(
                f"teacher.path: the model of {model.name!r} reads bytes, which are for images as they are stored, "
                "without mean and std; take these out, or give another model."
            )
        return [0.0] * channels, [1.0] * channels
