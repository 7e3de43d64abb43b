"""What a source returns: raw inputs, class ids, and the names of the classes.

Both classes check what every later step relies on, so that a user-defined source cannot return invalid data.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill_tune.config.messages import shown
from distill_tune.data.dataset import UNLABELLED
from distill_tune.data.files import check_names, native
from distill_tune.errors import DataError

Ints = npt.NDArray[np.int64]
SEEN_THROUGH_THE_TEACHER = "set data.rest = 'unlabelled', so that students see such rows through the teacher alone"
NUMBER = "number the classes from 0 on, as np.unique(labels, return_inverse=True) does"
"""How to fix invalid class ids."""


@dataclass(frozen=True, kw_only=True)
class Raw(ABC):
    """What raw images and tables have in common."""

    labels: npt.NDArray[Any]
    """Class ids [n], integers in [0, len(classes)), or UNLABELLED; kept as int64."""
    classes: tuple[str, ...]
    where: str
    """What errors call the data; usually the file's path."""
    own_test: int = 0
    """How many of the last rows are the source's own test split."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_classes()
        labels = check_labels(self.labels, len(self.classes), self.where, least=UNLABELLED)
        object.__setattr__(self, "labels", labels)  # NumPy makes uint64 and a count a float
        if self.rows != len(self.labels):
            raise DataError(
                f"{self.where}: has {self.rows:,} rows of inputs, but {len(self.labels):,} labels; each row needs one."
            )
        if not (labels != UNLABELLED).any():
            raise DataError(f"{self.where}: no row has a label; a classifier needs some of each class.")
        if self.own_test and UNLABELLED in self.labels[-self.own_test :]:
            raise DataError(f"{self.where}: its test split has rows without a label; leave them out, or label them.")

    def _check_kinds(self) -> None:
        if not isinstance(self.classes, tuple | list) or not all(isinstance(name, str) for name in self.classes):
            raise DataError(
                f"{self.where}: classes must be a tuple of names, but are {shown(self.classes)}; name each."
            )
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "labels", np.asarray(self.labels))
        if not isinstance(self.own_test, int | np.integer) or not 0 <= self.own_test < max(1, self.rows):
            raise DataError(
                f"{self.where}: own_test must be a number of rows below {self.rows:,}, but is {shown(self.own_test)}; "
                "count the last rows that are the source's own test split."
            )
        object.__setattr__(self, "own_test", int(self.own_test))  # negating a NumPy unsigned integer wraps around

    def _check_classes(self) -> None:
        if len(self.classes) < 2:
            has = f"one class only ({self.classes[0]!r})" if self.classes else "no class"
            raise DataError(f"{self.where}: has {has}; a classifier needs two.")
        if len(set(self.classes)) < len(self.classes):
            twice = next(name for i, name in enumerate(self.classes) if name in self.classes[:i])
            raise DataError(f"{self.where}: has two classes named {twice!r}; rename one, or make one class of them.")

    @property
    @abstractmethod
    def rows(self) -> int:
        """Rows of inputs, the own test split included."""

    @abstractmethod
    def row_hashes(self) -> npt.NDArray[np.uint64]:
        """One 64-bit hash per row of inputs; equal rows have equal hashes."""


@dataclass(frozen=True, kw_only=True)
class RawImages(Raw):
    """Images, uint8 [n, channels, height, width]."""

    inputs: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, np.ndarray):
            raise DataError(
                f"{self.where}: images must be a NumPy array, but are {type(self.inputs).__name__}; make one of them."
            )
        if self.inputs.ndim != 4 or self.inputs.dtype != np.uint8 or 0 in self.inputs.shape:
            raise DataError(
                f"{self.where}: images must be uint8 [n, channels, height, width], none of them 0, "
                f"but are {self.inputs.dtype} {list(self.inputs.shape)}; write them again in this form."
            )
        super().__post_init__()

    @property
    def rows(self) -> int:
        """Number of images."""
        return len(self.inputs)

    def row_hashes(self) -> npt.NDArray[np.uint64]:
        """One 64-bit hash per image."""
        digests = b"".join(  # made contiguous one by one: a mapped file may not fit into memory
            blake2b(np.ascontiguousarray(image).data, digest_size=8).digest() for image in self.inputs
        )
        return np.frombuffer(digests, dtype=np.uint64)


@dataclass(frozen=True, kw_only=True)
class RawTable(Raw):
    """A table of numbers and categories, without the label column."""

    frame: pd.DataFrame

    def __post_init__(self) -> None:
        if not isinstance(self.frame, pd.DataFrame):
            raise DataError(
                f"{self.where}: a table must be a pandas.DataFrame, but is {type(self.frame).__name__}; make one of it."
            )
        names = [str(name) for name in self.frame.columns]  # names of new rows to predict are text
        check_names(names, self.where)
        object.__setattr__(self, "frame", _native(self.frame.set_axis(names, axis="columns")))
        if not len(self.frame) or not len(self.frame.columns):
            rows, columns = self.frame.shape
            raise DataError(f"{self.where}: has {rows} rows and {columns} input columns; it needs some of each.")
        super().__post_init__()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def row_hashes(self) -> npt.NDArray[np.uint64]:
        """One 64-bit hash per row; missing values are equal."""
        hashes: npt.NDArray[np.uint64] = pd.util.hash_pandas_object(self.frame, index=False).to_numpy()
        return hashes


def _native(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with native columns, as pandas needs: those from FITS or HDF5 may be in another byte order."""
    kinds = {name: kind for name, kind in frame.dtypes.items() if isinstance(kind, np.dtype)}
    fit = {name: native(np.empty(0, kind)).dtype for name, kind in kinds.items()}
    return frame.astype({name: kind for name, kind in fit.items() if kind != kinds[name]})


def check_labels(labels: npt.NDArray[Any], classes: int | None, where: str, least: int = 0) -> Ints:
    """`labels` as int64 [n].

    Args:
        labels: as the user gave them.
        classes: number of classes; None if the labels determine it.
        where: what errors call the data.
        least: the lowest allowed label; UNLABELLED if some may be missing.

    Raises:
        DataError: they are not 1-D, not integers, too low, or outside the classes.
    """
    if labels.ndim != 1:
        cure = "ravel()" if labels.ndim == 2 and labels.shape[1] == 1 else "argmax(1)"
        raise DataError(f"{where}: labels must be 1-D class ids, but have shape {list(labels.shape)}; use {cure}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels must be integers (class ids 0, 1, ...), but are {labels.dtype}; {NUMBER}.")
    if not len(labels):
        raise DataError(f"{where}: has no rows; a classifier needs some of each class.")
    if (low := int(labels.min())) < least:
        way_out = f", or {SEEN_THROUGH_THE_TEACHER}" if low == UNLABELLED else ""
        raise DataError(
            f"{where}: labels must be {least} or above, but row {int(labels.argmin())} has {low}; {NUMBER}{way_out}."
        )
    high, most = int(labels.max()), len(labels) if classes is None else classes
    if high >= most:
        rule = NUMBER if classes is None else f"there are {classes} classes, 0 to {classes - 1}; mend the labels"
        raise DataError(f"{where}: row {int(labels.argmax())} has label {high}; {rule}.")
    return labels.astype(np.int64, copy=False)


def classes_of(column: pd.Series, where: str, may_miss: bool = False) -> tuple[Ints, tuple[str, ...]]:
    """Class ids and names of a label column, in the order of the sorted values.

    Args:
        column: the labels.
        where: what errors call the data.
        may_miss: whether rows may have no label; their id is UNLABELLED.

    Raises:
        DataError: a label is missing, is a number with decimals, bytes or a list, or no two rows share one.
    """
    if not may_miss:
        _check_all_there(column, where)
    column = _without_decimals(column)
    _check_named(column.dropna(), where)
    values = column.astype("object")
    try:
        ids, found = pd.factorize(values, sort=True)
    except TypeError:
        ids, found = pd.factorize(values.astype("str"), sort=True)
    return ids.astype(np.int64), tuple(str(name) for name in found)


def _check_all_there(column: pd.Series, where: str) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{where}: row {int(missing.argmax())} has no label in {column.name!r}; fill it, leave the row out, choose "
            f"another label column, or {SEEN_THROUGH_THE_TEACHER}."
        )


def _without_decimals(column: pd.Series) -> pd.Series:
    """A column of floats as integers if all are whole, as in 1.0, 2.0, or because some are missing."""
    is_float = pd.api.types.is_float_dtype(column)
    return column.astype("Int64") if is_float and _is_integer(column.dropna()).all() else column


def _is_integer(numbers: pd.Series) -> pd.Series:
    """Which floats stand for exactly one integer; beyond 2^53 each stands for several."""
    return (numbers % 1 == 0) & (numbers.abs() < 2**53)


def _check_named(column: pd.Series, where: str) -> None:
    """Refuse a column whose values cannot name classes."""
    labels = f"{where}: labels in {column.name!r}"
    if pd.api.types.is_float_dtype(column):
        odd = column[~_is_integer(column)].iloc[0]
        raise DataError(
            f"{labels} are numbers with decimals, such as {odd}; classes are integers or names: make such of them, or "
            "choose another label column."
        )
    column = column.astype("object")  # of a categorical column `map` makes another, which has no `any`
    if column.map(lambda value: isinstance(value, bytes)).any():
        raise DataError(f"{labels} are bytes, such as {column.iloc[0]!r:.40}; write them as text, in UTF-8.")
    if not column.map(lambda value: isinstance(value, Hashable)).all():
        raise DataError(
            f"{labels} are lists or tables, such as {str(column.iloc[0])!r:.40}; classes are integers or names: choose "
            "another label column."
        )
    if len(column) > 2 and column.is_unique:
        raise DataError(
            f"{labels} are all different, such as {str(column.iloc[0])!r:.40}; choose another label column, or add "
            "samples."
        )
