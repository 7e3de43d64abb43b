"""A teacher of which there are only logits: a NumPy or Parquet file with one row for each row of the data source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from distill_tune.errors import TeacherError
from distill_tune.registry import TEACHERS
from distill_tune.teachers._base import LoadedTeacher, Pupils, Teacher, Workshop

if TYPE_CHECKING:
    import numpy as np

    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Logits(Teacher):
    """Reads raw logits; the teacher itself is never loaded."""

    needs: ClassVar[tuple[str, ...]] = ("path",)

    def identity(self, config: TeacherConfig, pupils: Pupils) -> str:
        """The file's checksum; its shape and values are checked here too, before anything is written."""
        from distill_tune.checksum import sha256_of

        path = _existing(config)
        _checked(path, _read(path), pupils)
        return sha256_of(path)

    def load(self, config: TeacherConfig, pupils: Pupils, workshop: Workshop) -> LoadedTeacher:
        """The file's rows, in the order of the data source's rows."""
        path = _existing(config)
        return LoadedTeacher(parameters=0, table=_checked(path, _read(path), pupils))


def _existing(config: TeacherConfig) -> Path:
    assert config.path is not None, "this source needs it"
    path = Path(config.path)
    if not path.is_file():
        raise TeacherError(f"teacher.path: no file {config.path!r}.")
    return path


def _read(path: Path) -> np.ndarray:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            return np.stack([column.to_numpy() for column in table.columns], axis=1)
        if path.suffix not in (".npy", ".npz"):
            raise TeacherError(f"teacher.path: logits are read from .npy, .npz or .parquet, but got {path.name!r}.")
        loaded = np.load(path, allow_pickle=False)
        return np.asarray(loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]])
    except (ValueError, OSError, EOFError, IndexError, pa.ArrowException) as error:
        raise TeacherError(f"teacher.path: {path.name!r} cannot be read as {path.suffix} ({error}).") from error


def _checked(path: Path, logits: np.ndarray, pupils: Pupils) -> np.ndarray:
    import numpy as np

    expected = (pupils.num_rows, len(pupils.classes))
    if logits.shape != expected:
        raise TeacherError(
            f"teacher.path: {path.name!r} must have one row of logits for each row of the data, shape {expected}, "
            f"but has shape {logits.shape}."
        )
    if logits.dtype.kind not in "fiu" or not np.isfinite(logits).all():
        raise TeacherError(f"teacher.path: the logits of {path.name!r} must be finite numbers, one is not.")
    return logits.astype(np.float32)
