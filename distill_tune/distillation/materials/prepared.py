"""What travels to workers: where the prepared data and teacher are. Free of PyTorch, for those that only pass it on."""

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
    """None for a training without any teacher, such as that of a teacher."""
    live_teacher: nn.Module | None = None
    """The teacher itself, for `teacher.mode = "live"`."""
    member_folders: dict[str, Path] = field(default_factory=dict)
    """Each teacher's folder, where there are several; `teacher_folder` is None then."""
    used: frozenset[str] | None = None
    """Names of folders in the teachers' own with outputs for these trainings, where others are for those of other
    spaces; None where nobody has said."""
    sources: dict[str, str] | None = None
    """By name, the source of each augmentation of the user's own, by which the folders of outputs were named: a worker
    does not read the file, which may have been edited or be another on its node. None where nobody has said."""
    folds: tuple[Prepared, ...] = ()
    """With `data.folds`, each fold's own data and teacher; those above are then of all folds together."""

    def moved(self, moved: Callable[[Path], Path]) -> Prepared:
        """The same in other folders: each is asked for by the one that it is in."""
        return replace(
            self,
            data_folder=moved(self.data_folder),
            teacher_folder=self.teacher_folder and moved(self.teacher_folder),
            member_folders={name: moved(folder) for name, folder in self.member_folders.items()},
            folds=tuple(fold.moved(moved) for fold in self.folds),
        )
