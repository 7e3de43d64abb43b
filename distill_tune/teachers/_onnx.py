"""ONNX models (https://onnx.ai) as networks that return logits, run by ONNX Runtime on the CPU.

A model can only be called: it has no PyTorch layers and no gradients. It is pickled to other processes as its own
bytes, and each of them opens a session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.errors import TeacherError, one_line
from distill_tune.optional import imported
from distill_tune.teachers._foreign import Ending, arrangement, ending_in_words, ending_of, logits_of, probes

_FLOATS = ("FLOAT", "DOUBLE", "FLOAT16")
_READ = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "UINT8": "uint8"}
"""Types of tensors that a model may read, by their names in ONNX and NumPy."""
_ENDINGS = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
"""Operators that turn logits into probabilities or their logarithms."""


@dataclass(frozen=True)
class OnnxModel:
    """A file's model with one input and one output, which opens identically in every process."""

    name: str
    """Name of the file."""
    content: bytes
    dtype: str
    """NumPy's name of the type that it reads."""
    sample_shape: tuple[int | None, ...]
    """Shape of a sample; None in a dimension of any size."""
    batch: int | None
    """How many samples it takes at once; None for any number."""
    taken_off: str
    """The softmax or sigmoid removed from its end; empty if there was none."""
    num_weights: int
    """Number of elements in its floating-point constants."""


def read_onnx(path: Path, output: str | None) -> OnnxModel:
    """The model in a file, including its external data, without a softmax at its end.

    Raises:
        TeacherError: a package is missing, or the file holds no model with one input and one output of floats.
    """
    onnx = imported("onnx", "teacher.source: 'onnx'", TeacherError)
    try:
        model = onnx.load(path)
        graph = model.graph
        given, made = _input_of(onnx, graph, path.name), _output_of(onnx, graph, output, path.name)
        dims = given.type.tensor_type.shape.dim
        batch, *sample = [dim.dim_value or None for dim in dims]
        num_weights = sum(int(np.prod(each.dims)) for each in _constants(graph) if _kind(onnx, each.data_type))
        taken_off = _take_ending_off(graph, made)
        content = model.SerializeToString()
    except TeacherError:
        raise
    except Exception as error:  # protobuf, the file system and onnx each have errors of their own
        raise TeacherError(
            f"teacher.path: {path.name!r} is no ONNX model that can be read ({one_line(error)}); write it again, with "
            "its external data, if it has such, beside it, and no larger than 2 GB."
        ) from error
    dtype = _READ[onnx.TensorProto.DataType.Name(given.type.tensor_type.elem_type)]
    return OnnxModel(path.name, content, dtype, tuple(sample), batch, taken_off, num_weights)


class OnnxNetwork(nn.Module):
    """Normalised samples [batch, *input_shape] to raw logits [batch, classes]."""

    def __init__(self, model: OnnxModel, input_shape: tuple[int, ...], classes: int):
        """Open the model and find out what it reads and returns.

        Raises:
            TeacherError: ONNX Runtime is missing or cannot run it, or it does not fit the data.
        """
        super().__init__()
        self._made_of = (model, input_shape, classes)
        self._model, self._classes, self._sessions = model, classes, dict[int, Any]()
        self._order, self._shape = arrangement(input_shape, model.sample_shape, model.name, channels_first=True)
        self._place = nn.Parameter(torch.empty(0), requires_grad=False)  # shows which device inputs belong on
        self._ending = Ending.LOGITS
        self._ending = self._found_ending(input_shape, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        if not len(inputs):
            return inputs.new_zeros((0, self._classes), dtype=torch.float32)
        if self._model.dtype == "uint8":
            inputs = inputs.round().clamp(0, 255)  # mixed images have fractional pixels
        given = inputs.permute(self._order).reshape(-1, *self._shape).cpu().numpy().astype(self._model.dtype)
        session = self._session(torch.get_num_threads())
        name = session.get_inputs()[0].name
        try:
            outputs = [session.run(None, {name: part})[0] for part in self._parts(given)]
            made = torch.from_numpy(np.concatenate(outputs)[: len(given)]).float()
        except Exception as error:  # ONNX Runtime's own exceptions, or a scalar instead of rows
            raise TeacherError(
                f"teacher.path: {self._model.name!r} cannot be run on samples of shape {self._shape} "
                f"({one_line(error)}); give a model of such samples, [batch, ...] to [batch, classes]."
            ) from error
        return logits_of(made.to(inputs.device), self._ending)

    @property
    def says(self) -> str:
        """How the model's last layer is changed, in words."""
        return ending_in_words(self._ending, self._model.taken_off)

    @property
    def fixed_batch(self) -> int | None:
        """How many samples the model takes at once; None for any number."""
        return self._model.batch

    def _parts(self, given: np.ndarray) -> Iterator[np.ndarray]:
        """Batches of the size that the model takes; the last one is filled up with copies."""
        size = self._model.batch or len(given)
        for start in range(0, len(given), size):
            part = given[start : start + size]
            yield np.resize(part, (size, *self._shape)) if len(part) < size else part

    def _session(self, num_threads: int) -> Any:
        """The session for this number of threads, which is fixed when a session is opened."""
        if num_threads not in self._sessions:
            self._sessions[num_threads] = _opened(self._model, num_threads)
        return self._sessions[num_threads]

    def _found_ending(self, input_shape: tuple[int, ...], classes: int) -> Ending:
        outputs = self(probes(input_shape))
        return ending_of(outputs, classes, bool(self._model.taken_off))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _revived, self._made_of


def _revived(model: OnnxModel, input_shape: tuple[int, ...], classes: int) -> OnnxNetwork:
    return OnnxNetwork(model, input_shape, classes).eval()


def _opened(model: OnnxModel, num_threads: int) -> Any:
    runtime = imported("onnxruntime", "teacher.source: 'onnx'", TeacherError)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = num_threads, 1, 3
    try:
        return runtime.InferenceSession(model.content, options, ["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has its own exceptions
        raise TeacherError(
            f"teacher.path: {model.name!r} cannot be run by onnxruntime {runtime.__version__} ({one_line(error)}); "
            "write it in a form that it can, or give the model's outputs as source = 'logits'."
        ) from error


def _constants(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def _kind(onnx: Any, number: int) -> str:
    """The name of a floating-point type; empty for other types."""
    name: str = onnx.TensorProto.DataType.Name(number)
    return name if name in _FLOATS else ""


def _input_of(onnx: Any, graph: Any, name: str) -> Any:
    constants = {each.name for each in graph.initializer}  # old files also list them as inputs
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1:
        raise TeacherError(f"teacher.path: the model of {name!r} must have one input, but has {_listed(onnx, inputs)}.")
    tensor = inputs[0].type.tensor_type
    if onnx.TensorProto.DataType.Name(tensor.elem_type) not in _READ or len(tensor.shape.dim) < 2:
        raise TeacherError(
            f"teacher.path: the model of {name!r} must read one tensor [batch, ...] of {', '.join(_READ.values())}, "
            f"but reads {_listed(onnx, inputs)}."
        )
    return inputs[0]


def _output_of(onnx: Any, graph: Any, wanted: str | None, name: str) -> Any:
    """The named output, or the only one of floats; all others are removed from the graph."""
    outputs = list(graph.output)
    fit = [each for each in outputs if _kind(onnx, each.type.tensor_type.elem_type) and wanted in (None, each.name)]
    if len(fit) != 1:
        rule = "must have one output of floats" if wanted is None else f"must have an output {wanted!r} of floats"
        cure = " Name it in teacher.onnx.output." if len(fit) > 1 or wanted else ""
        raise TeacherError(f"teacher.path: the model of {name!r} {rule}, but has {_listed(onnx, outputs)}.{cure}")
    del graph.output[:]
    graph.output.append(fit[0])
    return graph.output[0]


def _listed(onnx: Any, values: list[Any]) -> str:
    """Names and types of inputs or outputs."""
    told = [
        f"{each.name!r} ({onnx.TensorProto.DataType.Name(each.type.tensor_type.elem_type).lower()} tensor)"
        if each.type.HasField("tensor_type")
        else f"{each.name!r} (no tensor)"
        for each in values
    ]
    return ", ".join(told) or "none"


def _take_ending_off(graph: Any, output: Any) -> str:
    """Cut the model before its final softmax or sigmoid; returns the name of what was removed, or ""."""
    made_by = {name: node for node in graph.node for name in node.output}
    last = made_by.get(output.name)
    while last is not None and last.op_type == "Identity":
        last = made_by.get(last.input[0])
    if last is None or last.op_type not in _ENDINGS or last.input[0] not in made_by:
        return ""
    output.name = last.input[0]
    return _ENDINGS[last.op_type]
