"""PyTorch's own format: an exported program (https://docs.pytorch.org/docs/stable/export.html), run with PyTorch alone.

As with most PyTorch files, loading one can run code that somebody has put into it: load only files that you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.export.formats._base import Format
from distill_tune.registry import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.export import ExportedProgram


@FORMATS.register
class Pt2(Format):
    """`torch.export.load("student.pt2").module()(inputs)`."""

    file: ClassVar[str] = "student.pt2"

    def write(self, program: ExportedProgram, path: Path) -> None:
        """Write the weights and the graph of the computation."""
        import torch

        torch.export.save(program, path)

    def answers(self, path: Path, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The logits that PyTorch computes."""
        import torch

        with torch.inference_mode():
            network = torch.export.load(path).module()
            return [network(torch.from_numpy(each)).float().numpy() for each in inputs]
