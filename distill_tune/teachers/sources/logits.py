"""A teacher of which there are only logits: a NumPy or Parquet file with one row for each row of the data source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from distill_tune.errors import TeacherError, one_line
from distill_tune.registry import TEACHERS
from distill_tune.teachers._base import LoadedTeacher, Pupils, Teacher, Workshop, existing_file

if TYPE_CHECKING:
    import numpy as np

    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Logits(Teacher):
    """Reads raw logits; the teacher itself is never loaded.

    An .npz holds one array, or one that is called `logits`. A Parquet file holds a column a class, in the order of the
    data's classes or under their names.
    """

    needs: ClassVar[tuple[str, ...]] = ("path",)
    has_network: ClassVar[bool] = False

    def identity(self, config: TeacherConfig, pupils: Pupils) -> str:
        """The file's checksum; its shape and values are checked here too, before anything is written."""
        from distill_tune.checksum import sha256_of

        path = existing_file(config)
        _checked(path, _read(path, pupils), pupils)
        return sha256_of(path)

    def load(self, config: TeacherConfig, pupils: Pupils, workshop: Workshop) -> LoadedTeacher:
        """The file's rows, in the order of the data source's rows."""
        path = existing_file(config)
        return LoadedTeacher(parameters=0, table=_checked(path, _read(path, pupils), pupils))


def _read(path: Path, pupils: Pupils) -> np.ndarray:
    readers = {".npy": _read_numpy, ".npz": _read_numpy, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise TeacherError(f"teacher.path: logits are read from {', '.join(readers)}, but got {path.name!r}.")
    try:
        return readers[path.suffix](path, pupils)
    except TeacherError:
        raise
    except Exception as error:  # NumPy, zipfile, zlib and Arrow each have errors of their own for a damaged file
        raise TeacherError(
            f"teacher.path: {path.name!r} cannot be read as {path.suffix} ({one_line(error)})."
        ) from error


def _read_numpy(path: Path, pupils: Pupils) -> np.ndarray:
    import numpy as np

    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        if len(loaded.files) != 1 and "logits" not in loaded.files:
            raise TeacherError(
                f"teacher.path: {path.name!r} must hold one array, or one that is called 'logits', but holds "
                f"{', '.join(loaded.files) or 'none'}."
            )
        return np.asarray(loaded["logits" if "logits" in loaded.files else loaded.files[0]])


def _read_parquet(path: Path, pupils: Pupils) -> np.ndarray:
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if set(table.column_names) == set(pupils.classes):
        table = table.select(list(pupils.classes))
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def _checked(path: Path, logits: np.ndarray, pupils: Pupils) -> np.ndarray:
    """The logits as float32, if they can be the teacher's."""
    import numpy as np

    expected = (pupils.num_rows, len(pupils.classes))
    if logits.shape != expected:
        raise TeacherError(
            f"teacher.path: {path.name!r} must have one row of logits for each row of the data, shape {expected}, "
            f"but has shape {logits.shape}."
        )
    with np.errstate(over="ignore"):
        checked = logits.astype(np.float32) if logits.dtype.kind in "fiu" else None
    if checked is None or not np.isfinite(checked).all():
        raise TeacherError(f"teacher.path: the logits of {path.name!r} must be finite numbers, but one is not.")
    if (checked >= 0).all() and np.allclose(checked.sum(1), 1, atol=1e-3):
        raise TeacherError(
            f"teacher.path: {path.name!r} holds probabilities, which a temperature cannot soften; give raw logits, or "
            "the logarithms of the probabilities."
        )
    return checked
