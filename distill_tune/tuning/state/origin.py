"""What a search was begun with, data and teachers, by marks that change with them: it goes on with nothing else.

Rows that are added to a file are dealt out anew with all others. What older trials were trained on might then be what
newer ones are tested on, and all would be ranked together.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.config import Space
from distill_tune.errors import DataError, TeacherError
from distill_tune.export.result_folder import CACHE

if TYPE_CHECKING:
    from distill_tune.distillation.preparation.prepare import Preparation


@dataclass(frozen=True)
class Origin:
    """The marks, as the logbook's first entry has them."""

    data: str
    """The data set's fingerprint."""
    teachers: list[str]
    """Names of the teachers' folders."""

    @classmethod
    def of(cls, preparation: Preparation) -> Origin:
        """The marks of what has been prepared."""
        prepared = preparation.prepared
        folders = (prepared.teacher_folder, *prepared.member_folders.values())
        return cls(preparation.dataset.fingerprint, sorted(folder.name for folder in folders if folder is not None))

    def check(self, option: str, folder: Path, space: Space) -> None:
        """Look at what the space of a result folder names now, before the search there goes on as `option` asks.

        Raises:
            DataError: the data are others.
            TeacherError: a teacher is another one.
        """
        from distill_tune.data.dataset import fingerprint_of  # brings NumPy, which those that only read do without

        if (now := fingerprint_of(space.config.data)) != self.data:
            raise DataError(
                f"{option}: {folder.name} was begun with other data than its [data] names now "
                f"(fingerprint {self.data}, now {now}); put them back as they were, or begin a new search."
            )
        if (teachers := self._teachers_now(folder / CACHE, space)) != self.teachers:
            raise TeacherError(
                f"{option}: {folder.name} was begun with another teacher than its [teacher] names "
                f"now ({', '.join(self.teachers)}, now {', '.join(teachers)}); put it back, and the libraries that "
                "build it, or begin a new search."
            )

    def _teachers_now(self, cache: Path, space: Space) -> list[str]:
        from distill_tune.data.dataset import data_folder, prepare_data
        from distill_tune.distillation.preparation.ready_teachers import teacher_folders

        with tempfile.TemporaryDirectory() as temporary:
            is_there = data_folder(cache, self.data).is_dir()
            place, key = (cache, "--storage") if is_there else (Path(temporary), "TMPDIR")
            dataset = prepare_data(space.config.data, place, key=key)
            return sorted(folder.name for folder in teacher_folders(space, dataset, cache).values())
