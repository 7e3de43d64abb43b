"""Keras models as PyTorch networks that return logits: Keras 3 (https://keras.io) on its torch backend.

Keras models usually read channels last and end in a softmax. The network here takes samples as they are stored, [batch,
channels, height, width] or [batch, features], arranges them as the model expects, and returns raw logits: a final
softmax or sigmoid is removed, unless it is not the activation of a last layer (`_foreign.py`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.errors import TeacherError, one_line
from distill_tune.optional import imported
from distill_tune.registry import load_dotted
from distill_tune.teachers._foreign import Ending, arrangement, ending_in_words, ending_of, logits_of, probes

_OLDEST = "3.11.3"
"""Earlier versions read .h5 files without safe_mode, so that a Lambda layer's code ran (CVE-2025-9905)."""


@dataclass(frozen=True)
class KerasFile:
    """A .h5 or .keras file in memory, which opens identically in every process."""

    name: str
    content: bytes
    custom_objects: dict[str, str] = field(default_factory=dict)
    """Name in the file to the dotted path of a custom class."""
    trust: bool = False


class KerasNetwork(nn.Module):
    """Normalised samples [batch, *input_shape] to raw logits [batch, classes]; pickled to workers as its file."""

    def __init__(self, file: KerasFile, input_shape: tuple[int, ...], classes: int):
        """Open the file and find out what the model reads and returns.

        Raises:
            TeacherError: Keras is missing, cannot read the file, or its model does not fit the data.
        """
        super().__init__()
        self._made_of = (file, input_shape, classes)
        keras = import_keras()
        with keras.device("cpu"):
            model, self.taken_off = _without_ending(keras, _opened(keras, file))
        model.trainable = True  # if saved frozen, it would have no weights to count or to move to a GPU
        self._hidden = (model,)
        for number, variable in enumerate(model.trainable_weights):
            self.register_parameter(f"weight_{number}", variable.value)
        self._order, self._shape = arrangement(input_shape, _shape_read_by(self.model, file.name), file.name)
        self._ending = Ending.LOGITS
        self._ending = self._found_ending(input_shape, classes)

    @property
    def model(self) -> Any:
        """The Keras model; not a submodule, since on torch its statistics and random state would count as weights."""
        return self._hidden[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        with import_keras().device(str(inputs.device)):
            outputs = self.model(inputs.permute(self._order).reshape(-1, *self._shape), training=False)
        return logits_of(outputs, self._ending)

    @property
    def says(self) -> str:
        """How the model's last layer is changed, in words."""
        return ending_in_words(self._ending, self.taken_off)

    def _found_ending(self, input_shape: tuple[int, ...], classes: int) -> Ending:
        with torch.inference_mode():
            outputs = self(probes(input_shape))
        if not isinstance(outputs, Tensor):
            return Ending.LOGITS  # refused when the network is tried
        return ending_of(outputs, classes, bool(self.taken_off))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> KerasNetwork:
        for variable in self.model.non_trainable_variables:
            variable.value.data = fn(variable.value.data)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _revived, self._made_of


def _revived(file: KerasFile, input_shape: tuple[int, ...], classes: int) -> KerasNetwork:
    return KerasNetwork(file, input_shape, classes).eval().requires_grad_(False)


def import_keras() -> Any:
    """Keras on torch; the backend is fixed once per process, before the first import.

    Raises:
        TeacherError: it is not installed, too old, or already imported on another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    keras = imported("keras", "teacher.source: 'keras'", TeacherError, oldest=_OLDEST)
    if keras.backend.backend() != "torch":
        raise TeacherError(
            f"teacher.source: 'keras' runs Keras on torch, but this program has imported it on "
            f"{keras.backend.backend()}; set the environment variable KERAS_BACKEND=torch before."
        )
    return keras


def _opened(keras: Any, file: KerasFile) -> Any:
    own = {name: load_dotted(path) for name, path in file.custom_objects.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"model{Path(file.name).suffix}")
        path.write_bytes(file.content)
        known = (_of_keras_2(keras) if path.suffix == ".h5" else {}) | own
        try:
            return keras.saving.load_model(path, custom_objects=known, compile=False, safe_mode=not file.trust)
        except Exception as error:  # h5py, zipfile and every layer have errors of their own
            raise TeacherError(
                f"teacher.path: {file.name!r} cannot be read by Keras {keras.__version__} "
                f"({one_line(error).replace(str(path), file.name)}){_cure(str(error))}."
            ) from error


def _cure(error: str) -> str:
    if "Lambda" in error or "safe_mode" in error or "unsafe" in error:
        return "; teacher.trust = true lets the file's own code run"
    if "Could not locate" in error or "Unknown layer" in error:
        return "; name the class in teacher.keras.custom_objects, as { Name = 'package.module:Class' }"
    return "; save the model again with model.save()"


def _of_keras_2(keras: Any) -> dict[str, Any]:
    """Layers for which Keras 2 wrote meaningless keys that Keras 3 refuses.

    A depthwise convolution has no groups, and no kernel other than its depthwise and pointwise ones.
    """
    kernel = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
    left_over = {"DepthwiseConv2D": ("groups",), "SeparableConv2D": ("groups", *kernel)}
    return {name: _reading_without(getattr(keras.layers, name), keys) for name, keys in left_over.items()}


def _reading_without(layer: Any, keys: tuple[str, ...]) -> Any:
    def from_config(cls: Any, config: dict[str, Any]) -> Any:
        return layer.from_config({key: value for key, value in config.items() if key not in keys})

    return type(layer.__name__, (layer,), {"from_config": classmethod(from_config)})


def _without_ending(keras: Any, model: Any) -> tuple[Any, str]:
    """The model without a final softmax, log-softmax or sigmoid, and the name of what was removed, or "".

    A last layer that the model also calls elsewhere must not be changed; if it is only an activation, the model is cut
    before its last call.
    """
    last = _last_layer(model)
    is_shared = _times_called(model, last) > 1
    if isinstance(last, keras.Model):
        inner, taken_off = (None, "") if is_shared else _without_ending(keras, last)
        return (model, taken_off) if inner is last else (model, "")
    is_softmax = isinstance(last, keras.layers.Softmax)
    known = keras.activations
    endings = {known.softmax: "softmax", known.log_softmax: "log-softmax", known.sigmoid: "sigmoid"}
    taken_off = "softmax" if is_softmax else endings.get(getattr(last, "activation", None), "")
    if is_softmax or (taken_off and is_shared and isinstance(last, keras.layers.Activation)):
        return keras.Model(model.inputs, _last_call(model, last).input_tensors[0]), taken_off
    if is_shared or not taken_off:
        return model, ""
    last.activation = keras.activations.linear
    return model, taken_off


def _last_layer(model: Any) -> Any:
    """The layer that makes the model's only output; None if unknown."""
    outputs = getattr(model, "outputs", None) or []
    return outputs[0]._keras_history.operation if len(outputs) == 1 else None


def _last_call(model: Any, last: Any) -> Any:
    return last._inbound_nodes[model.outputs[0]._keras_history.node_index]


def _times_called(model: Any, layer: Any) -> int:
    """How often a layer is called in the model's own graph, not counting calls elsewhere."""
    by_depth: dict[int, list[Any]] = getattr(model, "_nodes_by_depth", {})  # a Sequential calls each layer once
    return sum(node.operation is layer for nodes in by_depth.values() for node in nodes)


def _shape_read_by(model: Any, name: str) -> tuple[int | None, ...]:
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or not isinstance(getattr(model, "outputs", None), list) or len(model.outputs) != 1:
        raise TeacherError(
            f"teacher.path: the model of {name!r} must have one input and one output, but has {len(inputs)} and "
            f"{len(getattr(model, 'outputs', None) or [])}."
        )
    return tuple(inputs[0].shape[1:])
