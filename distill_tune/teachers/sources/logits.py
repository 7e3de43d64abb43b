"""A teacher given only by its logits: a NumPy or Parquet file with one row per row of the data source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from distill_tune.config.messages import named_apart
from distill_tune.errors import DataError, TeacherError
from distill_tune.registry import TEACHERS
from distill_tune.teachers import DataSpec, LoadedTeacher, Teacher, TeacherContext, existing_file

if TYPE_CHECKING:
    import numpy as np

    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Logits(Teacher):
    """Reads raw logits; the teacher itself is never loaded.

    An .npz must hold a single array, or one called `logits`. A Parquet file holds one column per class, in the order of
    the data's classes or under their names.
    """

    needs: ClassVar[tuple[str, ...]] = ("path",)
    ignores: ClassVar[tuple[str, ...]] = ("family", "trust")
    has_network: ClassVar[bool] = False

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The file's checksum; its shape and values are also checked here, before anything is written."""
        from distill_tune.checksum import sha256_of
        from distill_tune.teachers.logits_table import checked_logits

        path = existing_file(config)
        checked_logits(_read(path, data_spec), data_spec, "teacher.path", repr(path.name))
        return sha256_of(path)

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """The file's rows, in the order of the data source's rows; `identity` has checked them."""
        import numpy as np

        path = existing_file(config)
        logits = _read(path, data_spec)
        for line in _told(path, data_spec):
            context.say(f"teacher: {line}")
        if warning := _said_of_empty_rows(logits):
            context.say(warning)
        return LoadedTeacher(parameters=0, table=np.asarray(logits, dtype=np.float32))


def _read(path: Path, data_spec: DataSpec) -> np.ndarray:
    from distill_tune.data.files import kind_of, named

    readers = {"npy": _read_npy, "npz": _read_npz, "parquet": _read_parquet}
    kind = kind_of(path)
    if kind not in readers:
        raise TeacherError(
            f"teacher.path: logits are read from .npy, .npz and Parquet files, but {path.name!r} is {named(kind)}; "
            "write them as one of these."
        )
    try:
        return readers[kind](path, data_spec)
    except DataError as error:
        raise TeacherError(f"teacher.path: {error}") from error


def _read_npy(path: Path, data_spec: DataSpec) -> np.ndarray:
    from distill_tune.data.files import read_npy

    return read_npy(path, mapped=True)


def _read_npz(path: Path, data_spec: DataSpec) -> np.ndarray:
    from distill_tune.data.files import read_npz

    def logits_alone(names: list[str]) -> list[str]:
        if len(names) == 1 or "logits" in names:
            return ["logits"] if "logits" in names else names
        raise TeacherError(
            f"teacher.path: {path.name!r} must hold one array, or one that is called 'logits', but holds "
            f"{', '.join(names) or 'none'}; rename the one that is meant."
        )

    for array in read_npz(path, logits_alone).values():
        return array
    raise TeacherError(f"teacher.path: {path.name!r} holds no NumPy array; write it with np.savez.")


def _read_parquet(path: Path, data_spec: DataSpec) -> np.ndarray:
    import numpy as np

    from distill_tune.data.parquet_files import read_parquet

    frame = read_parquet(path)
    if len(frame) == data_spec.num_rows:
        _check_order(path)
    columns, classes = set(frame.columns), set(data_spec.classes)
    if columns & classes and columns - classes and not _are_numbers(frame.columns):
        raise TeacherError(
            f"teacher.path: {path.name!r} has columns that are classes ({named_apart(sorted(columns & classes))}) "
            f"beside others ({named_apart(sorted(columns - classes))}); name all of them like the classes, or none."
        )
    return np.asarray((frame[list(data_spec.classes)] if columns == classes else frame).to_numpy())


def _check_order(path: Path) -> None:
    """Refuse rows whose pandas index differs from the data's order: no accuracy reveals every permutation."""
    from distill_tune.data.parquet_files import numbers_of_rows

    numbers = numbers_of_rows(path)
    odd = next((row for row, number in enumerate(numbers) if number != row), None)
    if odd is None:
        return
    raise TeacherError(
        f"teacher.path: the row index of {path.name!r} does not count from 0 on (row {odd} has "
        f"{str(numbers[odd])!r:.40}), as the data's rows do; {_way_to_order(numbers)}."
    )


def _way_to_order(numbers: list[object]) -> str:
    if {*numbers} == {*range(len(numbers))}:
        return "write it after sort_index(), or after reset_index(drop=True) if its rows are in the data's order"
    return "put its rows into the data's order, and write it after reset_index(drop=True)"


def _are_numbers(names: Iterable[str]) -> bool:
    return all(str(name).isdecimal() for name in names)


def _told(path: Path, data_spec: DataSpec) -> list[str]:
    """A line that columns are matched by position, if their names are neither the classes nor numbers from 0."""
    from pyarrow import parquet

    from distill_tune.data.files import kind_of
    from distill_tune.data.parquet_files import pandas_index

    if kind_of(path) != "parquet":
        return []
    schema = parquet.read_schema(path)
    index = pandas_index(schema)
    names = [name for name in schema.names if name not in index]
    if set(names) == set(data_spec.classes) or names == [str(number) for number in range(len(names))]:
        return []
    return [
        f"its columns ({named_apart(names)}) stand for the data's classes ({named_apart(data_spec.classes)}), in this "
        "order; if that is not so, name them like the classes"
    ]


def _said_of_empty_rows(logits: np.ndarray) -> str:
    """A warning about rows that are all 0: a teacher may be undecided, but usually it was never asked."""
    from distill_tune.teachers.probabilities import empty_rows

    if not len(rows := empty_rows(logits)):
        return ""
    told = "1 row of its logits is" if len(rows) == 1 else f"{len(rows):,} rows of its logits are"
    return (
        f"warning: teacher: {told} all 0, the first is row {rows[0]}, which teaches that all classes are equally "
        "likely; if such rows were missing, let the teacher label them"
    )
