"""References to prepared data and teacher, sent to workers. Free of PyTorch, for code that only passes them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Prepared:
    """Where the prepared data and teacher are."""

    data_folder: Path
    teacher_folder: Path | None
    """None for a training without a teacher, such as that of a teacher itself."""
    live_teacher: nn.Module | None = None
    """The teacher itself, for `teacher.mode = "live"`."""
    member_folders: dict[str, Path] = field(default_factory=dict)
    """Each teacher's folder, if there are several; `teacher_folder` is then None."""
    used: frozenset[str] | None = None
    """Names of the folders, inside the teachers' folders, with outputs for these trainings; others belong to other
    spaces. None if unknown."""
    sources: dict[str, str] | None = None
    """Source code of each user-defined augmentation by name, from which the folders of outputs were named: a worker
    does not read the file, which may have been edited or differ on its node. None if unknown."""
    folds: tuple[Prepared, ...] = ()
    """With `data.folds`, each fold's data and teacher; the fields above are then of all folds together."""

    def moved(self, moved: Callable[[Path], Path]) -> Prepared:
        """The same with each folder replaced by `moved(folder)`."""
        return replace(
            self,
            data_folder=moved(self.data_folder),
            teacher_folder=self.teacher_folder and moved(self.teacher_folder),
            member_folders={name: moved(folder) for name, folder in self.member_folders.items()},
            folds=tuple(fold.moved(moved) for fold in self.folds),
        )
