"""The base class of all formats."""

from __future__ import annotations

from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.export import ExportedProgram


class Format(Options):
    """A file that holds a student's network, from `inputs` as `student.inputs` makes them to logits."""

    file: ClassVar[str]
    """Its name in the student's folder."""
    writes_with: ClassVar[str | None] = None
    """The package needed to write it, if this package does not depend on it anyway."""
    runs_with: ClassVar[str | None] = None
    """The package needed to run it, likewise."""

    @property
    def missing(self) -> str | None:
        """The package needed to write it, if it is not installed."""
        return None if _is_there(self.writes_with) else self.writes_with

    @property
    def can_run(self) -> bool:
        """Whether the written file can be run here."""
        return _is_there(self.runs_with)

    @abstractmethod
    def write(self, program: ExportedProgram, path: Path) -> None:
        """Write the network such that it takes any number of rows."""

    @abstractmethod
    def answers(self, path: Path, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The written file's logits [rows, classes] for each of `inputs`; it is opened once and run as users would.

        Only if it `can_run`.
        """


def _is_there(package: str | None) -> bool:
    return package is None or find_spec(package) is not None
