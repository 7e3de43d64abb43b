"""ONNX (https://onnx.ai), which nearly every inference runtime reads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.errors import DistillTuneError
from distill_tune.export.formats._base import Format
from distill_tune.optional import imported
from distill_tune.registry import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.export import ExportedProgram

_INPUTS, _LOGITS = "inputs", "logits"


@FORMATS.register
class Onnx(Format):
    """One file, whose input is named inputs and whose output is named logits."""

    file: ClassVar[str] = "student.onnx"
    writes_with: ClassVar[str | None] = "onnxscript"
    runs_with: ClassVar[str | None] = "onnxruntime"

    def write(self, program: ExportedProgram, path: Path) -> None:
        """Write it with PyTorch's exporter."""
        import torch

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`isinstance.treespec", FutureWarning)  # PyTorch's, about its own code
            torch.onnx.export(
                program,
                f=str(path),
                input_names=[_INPUTS],
                output_names=[_LOGITS],
                external_data=False,
                verbose=False,
            )

    def answers(self, path: Path, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The logits that ONNX Runtime computes on the CPU."""
        runtime = imported("onnxruntime", self.file, DistillTuneError)
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return [session.run([_LOGITS], {_INPUTS: each})[0] for each in inputs]
