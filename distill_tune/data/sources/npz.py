"""NumPy arrays in one .npz file: images (uint8, three or four dimensions) or a table (two dimensions)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from distill_tune.checksum import sha256_of
from distill_tune.config.messages import named_apart
from distill_tune.data.files import NPZ_INPUTS, native, of_kind, read_npz
from distill_tune.data.sources._base import Source, required_path
from distill_tune.errors import DataError
from distill_tune.registry import DATA_SOURCES, did_you_mean

if TYPE_CHECKING:
    from distill_tune.arrays import Array, Arrays
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages, RawTable

LABELS = ("labels", "y")


@DATA_SOURCES.register
class Npz(Source):
    """`data.path` names the file; an array `classes` in it may name the classes."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    inputs: str | None = None
    """Key of the inputs; None: `inputs`, `x` or `X`."""
    labels: str | None = None
    """Key of the labels; None: `labels` or `y`."""
    test_inputs: str = "test_inputs"
    """Key of the inputs of the data's own test split, if there is one."""
    test_labels: str = "test_labels"

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the file."""
        return sha256_of(of_kind(required_path(config), "npz"))

    def load(self, config: DataConfig) -> RawImages | RawTable:
        """Images if the inputs have three or four dimensions, else a table."""
        import numpy as np

        from distill_tune.data.dataset import UNLABELLED

        path = required_path(config)
        members = self._read(path)
        inputs, labels = members.take(self.inputs, NPZ_INPUTS), members.take(self.labels, LABELS)
        own_test = 0
        if self.test_inputs in members.arrays or self.test_labels in members.arrays:
            more, their_labels = members.take(self.test_inputs), members.take(self.test_labels)
            _check_same_kind(inputs, labels, more, their_labels, path)
            inputs, labels = np.concatenate([inputs, more]), _joined(labels, their_labels)
            own_test = len(more)
        classes = _classes(members.arrays, labels, path, UNLABELLED if config.rest == "unlabelled" else 0)
        common = {"labels": labels, "classes": classes, "where": path, "own_test": own_test}
        common["notes"] = members.notes(own_test > 0)
        return _images(inputs, path, common) if inputs.ndim > 2 else _table(inputs, path, common)

    def _read(self, path: str) -> _Members:
        """The arrays to use, and only the names of the others, which may hold anything."""
        left_out = list[str]()

        def meant(names: list[str]) -> list[str]:
            firsts = (_first(names, self.inputs, NPZ_INPUTS), _first(names, self.labels, LABELS))
            known = {*firsts, self.test_inputs, self.test_labels, "classes"}
            left_out.extend(name for name in names if name not in known)
            return [name for name in names if name in known]

        return _Members(path, read_npz(path, meant), left_out)


def _first(names: Iterable[str], key: str | None, usual: tuple[str, ...] = ()) -> str | None:
    """The name of an existing array: `key` or, if unset, the first usual name; None if there is none."""
    return next((name for name in ((key,) if key else usual) if name in names), None)


class _Members(NamedTuple):
    """The content of the file."""

    path: str
    arrays: Arrays
    left_out: list[str]

    def take(self, key: str | None, usual: tuple[str, ...] = ()) -> Array:
        """The array named `key` or, if unset, by the first of the usual names."""
        if (name := _first(self.arrays, key, usual)) is not None:
            return self.arrays[name]
        wanted = key or usual[0]
        way_out = f" Name it by data.npz.{wanted}." if usual and not key else ""
        known = [*self.arrays, *self.left_out]
        raise DataError(f"{self.path}: has no array {wanted!r}.{did_you_mean(wanted, known)}{way_out}")

    def notes(self, has_test: bool) -> tuple[str, ...]:
        """A note on arrays in the file that are not read."""
        if not self.left_out:
            return ()
        way_out = "" if has_test else "; data.npz.test_inputs and data.npz.test_labels could name a test split"
        return (f"arrays in the file that are left out: {named_apart(self.left_out)}{way_out}",)


def _joined(labels: Array, more: Array) -> Array:
    """The labels concatenated; on its own, NumPy would turn uint64 and int64 into floats."""
    import numpy as np

    if labels.dtype.kind in "iu" and more.dtype.kind in "iu":
        return np.concatenate([labels, more], dtype=np.int64, casting="unsafe")
    return np.concatenate([labels, more])


def _check_same_kind(inputs: Array, labels: Array, more: Array, their_labels: Array, path: str) -> None:
    for array in (inputs, labels, more, their_labels):
        if not array.ndim:
            raise DataError(f"{path}: holds a single value where it must have one for each row; write arrays.")
    if inputs.shape[1:] != more.shape[1:] or inputs.dtype != more.dtype or labels.shape[1:] != their_labels.shape[1:]:
        raise DataError(
            f"{path}: test rows must be like training rows, {inputs.dtype} {list(inputs.shape[1:])}, "
            f"but are {more.dtype} {list(more.shape[1:])}; write both in the same way."
        )
    for part, rows, ids in (("training", inputs, labels), ("test", more, their_labels)):
        if len(rows) != len(ids):
            raise DataError(
                f"{path}: has {len(rows):,} {part} rows but {len(ids):,} {part} labels; each row needs one."
            )
    if not len(more):
        raise DataError(f"{path}: its test split has no rows; leave its arrays out.")


def _classes(arrays: Arrays, labels: Array, path: str, least: int) -> tuple[str, ...]:
    import numpy as np

    from distill_tune.data.raw import NUMBER, check_labels

    if (names := arrays.get("classes")) is not None:
        return tuple(_as_text(name, path) for name in names.ravel())
    ids = check_labels(labels, None, path, least)
    missing = np.setdiff1d(np.arange(ids.max() + 1), ids)
    if len(missing):
        raise DataError(f"{path}: labels go up to {ids.max()}, but no row has {missing[0]}; {NUMBER}.")
    return tuple(str(i) for i in range(int(ids.max()) + 1))


def _as_text(name: Any, path: str) -> str:
    try:
        return name.decode() if isinstance(name, bytes) else str(name)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the class {bytes(name)!r} is no UTF-8; write `classes` as text.") from error


def _images(inputs: Array, path: str, common: dict[str, Any]) -> RawImages:
    from distill_tune.data.images import as_images
    from distill_tune.data.raw import RawImages

    _check_finite(inputs, path)
    images, said = as_images(inputs, path)
    return RawImages(inputs=images, **common | {"notes": (*filter(None, [said]), *common["notes"])})


def _table(inputs: Array, path: str, common: dict[str, Any]) -> RawTable:
    import pandas as pd

    from distill_tune.data.raw import RawTable

    if inputs.ndim != 2:
        raise DataError(
            f"{path}: inputs must have 2 (table), 3 or 4 (images) dimensions, but have {inputs.ndim}; reshape them."
        )
    _check_finite(inputs, path)
    names = [f"x{i}" for i in range(inputs.shape[1])]
    return RawTable(frame=pd.DataFrame(native(inputs), columns=names), **common)


def _check_finite(inputs: Array, where: str) -> None:
    """Refuse inputs that are not numbers, or are NaN or infinite.

    Raises:
        DataError: with the type, or the count and the first row.
    """
    import numpy as np

    if inputs.dtype.kind not in "fiub":
        raise DataError(f"{where}: inputs must be numbers, but are {inputs.dtype}; categories go into CSV or Parquet.")
    bad = ~np.isfinite(inputs)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(
            f"{where}: inputs have {int(bad.sum()):,} NaN or infinite values, the first in row {row}; "
            "fill or remove them (CSV and Parquet may have missing values)."
        )
