"""ONNX models, written node by node, and teachers that are loaded from them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loaded_teachers import ROWS, loaded_from

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

onnx = pytest.importorskip("onnx", reason="pip install onnx")
pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

Shape = tuple[int | str, ...]


@dataclass
class Model:
    """Flatten, one dense layer, and the nodes of `ending`, each reading the output of the one before."""

    sample: Shape = (7,)
    classes: int = 3
    ending: tuple[str, ...] = ()
    dtype: str = "FLOAT"
    batch: int | str = "rows"
    further: list[tuple[str, str]] = field(default_factory=list)
    """Name and operator of further outputs, computed from the dense layer's."""

    def __post_init__(self) -> None:
        draws = np.random.default_rng(0)
        features = int(np.prod([size if isinstance(size, int) else 1 for size in self.sample]))
        self.weight = draws.normal(size=(features, self.classes)).astype(np.float32) / 3
        self.bias = draws.normal(size=self.classes).astype(np.float32)

    def logits(self, given: np.ndarray) -> np.ndarray:
        """The logits that NumPy computes of samples as the model reads them."""
        flat = given.reshape(len(given), -1).astype(np.float32)
        return np.asarray(flat @ self.weight + self.bias)

    def write(self, path: Path, **how: Any) -> Path:
        """Write to a file; `how` goes to `onnx.save`."""
        helper, types = onnx.helper, onnx.TensorProto
        kind, rank = getattr(types, self.dtype), len(self.sample) + 1
        names = ["dense", *(f"made_{number}" for number in range(len(self.ending)))]
        nodes = [
            helper.make_node("Cast", ["given"], ["floats"], to=types.FLOAT),
            helper.make_node("Flatten", ["floats"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["dense"]),
            *(helper.make_node(op, [names[n]], [names[n + 1]]) for n, op in enumerate(self.ending)),
            *(helper.make_node(op, ["dense"], [name]) for name, op in self.further),
        ]
        made = helper.make_tensor_value_info(names[-1], types.FLOAT, [self.batch, self.classes])
        others = [
            helper.make_tensor_value_info(name, types.INT64 if op == "ArgMax" else types.FLOAT, None)
            for name, op in self.further
        ]
        graph = helper.make_graph(
            nodes,
            "teacher",
            [helper.make_tensor_value_info("given", kind, [self.batch, *self.sample][:rank])],
            [*others, made],
            [onnx.numpy_helper.from_array(self.weight, "weight"), onnx.numpy_helper.from_array(self.bias, "bias")],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path, **how)
        return path


def load(path: Path, data_spec: DataSpec, said: Callable[[str], None] = print, **table: Any) -> LoadedTeacher:
    """Load the way `prepare` does."""
    return loaded_from(TeacherConfig(source="onnx", path=str(path), **table), data_spec, path.parent, said)


def identity(path: Path, data_spec: DataSpec = ROWS, **table: Any) -> str:
    config = TeacherConfig(source="onnx", path=str(path), **table)
    found: str = config.chosen("source").identity(config, data_spec)
    return found


def refused(path: Path, data_spec: DataSpec, **table: Any) -> str:
    """The one line of the refusal."""
    with pytest.raises(TeacherError) as caught:
        load(path, data_spec, **table)
    assert "\n" not in str(caught.value)
    return str(caught.value)
