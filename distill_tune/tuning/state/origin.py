"""What a search was started with: fingerprints of its data, teachers and space, which a resumed search must match.

Adding rows to a file redistributes all rows over the splits. Samples that older trials were trained on could then
become test samples of newer ones, although all are ranked together. Likewise, editing search.toml could mix trials with
different objectives or lengths.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.config import Space
from distill_tune.config.messages import dotted
from distill_tune.errors import ConfigError, DataError, TeacherError
from distill_tune.export.result_folder import CACHE, SEARCH_TOML

if TYPE_CHECKING:
    from distill_tune.distillation.preparation.prepare import Preparation

_MAY_CHANGE = ("data", "teacher", "resources", "export")
_MAY_CHANGE_IN_SEARCH = ("trials", "time", "retries")
_HEARD_BY_TRIALS = {"data": ("passes",), "teacher": ("mode", "views", "keep")}
"""Not covered by the fingerprints of data and teachers, because it changes neither a row's split nor the teacher."""
_MIX = ("weights", "use", "average")
"""Likewise for an ensemble."""


@dataclass(frozen=True)
class Origin:
    """The fingerprints, as recorded in the logbook's first entry."""

    data: str
    """The data set's fingerprint."""
    teachers: list[str]
    """Names of the teachers' cache folders."""
    asked: str = ""
    """Digest of what is searched and how; empty for searches from before this was recorded."""

    @classmethod
    def of(cls, preparation: Preparation, space: Space) -> Origin:
        """The fingerprints of what was prepared, and of the resolved space."""
        prepared = preparation.prepared
        folders = (prepared.teacher_folder, *prepared.member_folders.values())
        names = sorted(folder.name for folder in folders if folder is not None)
        return cls(preparation.dataset.fingerprint, names, _digest(space))

    def check(self, option: str, folder: Path, space: Space) -> None:
        """Check what the space of a result folder names now, before the search there continues as `option` asks.

        Raises:
            ConfigError: search.toml has changed.
            DataError: the data have changed, or the code of a user-defined source has.
            TeacherError: a teacher has changed.
        """
        if self.asked and _digest(space) != self.asked:
            raise ConfigError(
                f"{option}: the {SEARCH_TOML} of {folder.name} is not what the search was begun with; put it back as "
                "it was, or begin a new search, which may know these trials by search.start_from."
            )
        from distill_tune.data.dataset import fingerprint_of  # imports NumPy, which read-only callers do without

        if (now := fingerprint_of(space.config.data)) != self.data:
            source = space.config.data.source
            code = (
                f", or with another version of {source!r}, of what it imports, or of distill_tune"
                if ":" in source
                else ""
            )
            raise DataError(
                f"{option}: {folder.name} was begun with other data than its [data] names now{code} "
                f"(fingerprint {self.data}, now {now}); put back what was there, or begin a new search."
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


def _digest(space: Space) -> str:
    """Digest of all that trials are proposed, trained and compared by.

    Data and teachers have separate fingerprints, wherever they are stored. The number of trials, the time, the
    resources, and the winner's export format may change.
    """
    ranges = {dotted(path): [found.kind, asdict(found)] for path, found in space.ranges.items()}
    tables = {name: table for name, table in space.tables.items() if name not in _MAY_CHANGE}
    tables |= {name: _only(space.tables.get(name, {}), keys) for name, keys in _HEARD_BY_TRIALS.items()}
    tables["teacher"] |= _only(space.tables.get("teacher", {}).get("ensemble", {}), _MIX)
    search = {key: value for key, value in tables.get("search", {}).items() if key not in _MAY_CHANGE_IN_SEARCH}
    told = json.dumps([ranges, tables | {"search": search}], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _only(table: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}
