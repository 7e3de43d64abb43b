"""New, unlabelled rows to predict, from a file or in memory, converted to the training inputs' layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill_tune.data.column_notes import unfamiliar, words_for_gaps
from distill_tune.data.csv_files import likely_separator, read_csv, with_words
from distill_tune.data.encoder import TableEncoder
from distill_tune.data.files import NPZ_INPUTS, check_names, existing, native, read_npy, read_npz
from distill_tune.data.image_files import MODES, decoded, files_in, is_image, skipped
from distill_tune.data.images import as_bytes, as_images, channels_first
from distill_tune.data.parquet_files import read_parquet
from distill_tune.errors import DataError
from distill_tune.paths import is_file, is_folder

KINDS = {".csv": "CSV", ".parquet": "Parquet", ".npy": "NumPy", ".npz": "NumPy"}


def picture_files(rows: object, warn: Callable[[str], object] = lambda line: None) -> list[Path] | None:
    """The image files of a folder, or those named; None for anything else.

    `warn` is called if a folder has other files, such as pictures of a kind that cannot be read.

    Raises:
        DataError: the folder has none, or a named file does not exist.
    """
    if isinstance(rows, list) and all(isinstance(each, str | Path) for each in rows):
        if not rows:
            raise DataError("the rows: are an empty list; name some pictures, or give some rows.")
        return [existing(each, "an image") for each in rows]
    if not isinstance(rows, Path):
        return None
    if not is_folder(rows):
        return [existing(rows, "an image")] if is_image(rows) else None
    found, others = files_in(rows)
    if not found:
        raise DataError(f"{rows}: is a folder without image files; name a file, or a folder with some.")
    if others:
        warn(skipped(str(others[0]), len(others)))
    return found


def read_inputs(
    rows: Path | list[Path] | pd.DataFrame | npt.NDArray[Any],
    encoder: dict[str, Any] | None,
    input_shape: tuple[int, ...],
    warn: Callable[[str], object] = lambda line: None,
    separator: str | None = None,
    named: str | None = None,
) -> npt.NDArray[Any]:
    """The rows, ready for the student.

    Args:
        rows: a table or array in memory, or a file: CSV with a header line, Parquet, .npy, .npz with `inputs`, `x`,
            `X` or a single array, or a picture; or several pictures or a folder of them, in the order of
            `picture_files`, which are converted to the size and channels of the training images.
        encoder: `Dataset.encoder`; None for images.
        input_shape: `Dataset.input_shape`.
        warn: called about anything that training has not seen, and about files of a folder that are left out.
        separator: of a CSV file's columns; None: the most frequent of the usual ones in its first line.
        named: a name that the inputs in a .npz file may have besides the usual ones.

    Returns:
        float32 [n, features] for tables, uint8 [n, channels, height, width] for images.

    Raises:
        DataError: they are missing, of another kind or shape, or lack a column that the student needs.
    """
    name = str(rows) if isinstance(rows, Path) else "the rows"
    if (pictures := picture_files(rows, warn)) is not None:
        if encoder is not None:
            raise DataError(f"{name}: holds pictures, but this student has learned from a table.")
        if input_shape[0] not in MODES:
            raise DataError(
                f"{name}: pictures are of 1 or 3 channels, but this student reads {input_shape[0]}; give arrays."
            )
        return decoded(pictures, input_shape)
    rows = np.asarray(rows) if isinstance(rows, list) else rows
    if isinstance(rows, Path) and rows.suffix.lower() not in KINDS:
        raise DataError(f"{rows}: must be a picture, or end in one of {', '.join(KINDS)}, but ends in {rows.suffix!r}.")
    if encoder is None:
        array = _array(rows, separator, named)
        if _is_table(rows):
            _check_pixels(array, input_shape, name)
        return _images(array, input_shape, name)
    try:
        return _features(rows, TableEncoder.from_dict(encoder), warn, separator, named)
    except DataError as error:
        raise DataError(str(error) if name in str(error) else f"{name}: {error}") from error


def _features(
    rows: Path | pd.DataFrame | npt.NDArray[Any],
    encoder: TableEncoder,
    warn: Callable[[str], object],
    separator: str | None,
    named: str | None,
) -> npt.NDArray[np.float32]:
    if isinstance(rows, pd.DataFrame):
        if rows.columns.nlevels > 1:
            raise DataError(f"each column must have one name, but has {rows.columns.nlevels}; join them.")
        frame = rows.rename(columns=str)
        check_names(list(frame.columns), "the rows")
    elif isinstance(rows, Path) and KINDS[rows.suffix.lower()] != "NumPy":
        frame = _table(rows, separator, tuple(encoder.categories), encoder.columns)
    else:
        named_columns = "CSV or Parquet file" if isinstance(rows, Path) else "pandas.DataFrame"
        frame = _frame(_array(rows, named=named), encoder.columns, named_columns)
    if not len(frame):
        raise DataError("has no rows; it needs some to predict.")
    features = encoder.transform(frame)
    for line in [
        *unfamiliar(encoder, frame),
        *(words_for_gaps(encoder, frame) if isinstance(rows, pd.DataFrame) else []),
    ]:
        warn(line)
    return features


def _frame(array: npt.NDArray[Any], columns: tuple[str, ...], named_columns: str) -> pd.DataFrame:
    """The array under the names of the training columns; `named_columns` is what could have named them itself."""
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise DataError(
            f"must be [n, {len(columns)}] like the training inputs, but is {list(array.shape)}; give all columns in "
            f"the order of training, or a {named_columns}, which names them."
        )
    return pd.DataFrame(native(array), columns=list(columns))


def _table(
    path: Path, separator: str | None, as_text: tuple[str, ...] = (), wanted: tuple[str, ...] = ()
) -> pd.DataFrame:
    """The columns of a CSV or Parquet file, including those `wanted`.

    `as_text` names the categories: values such as "1" must stay text, which a CSV file does not say.
    """
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, keep=wanted)
    separator = separator or _separator(path)
    frame = read_csv(path, separator, dtype=dict.fromkeys(as_text, "str"))
    if len(frame.columns) == 1 < len(wanted) and frame.columns[0] not in wanted:
        raise DataError(f"{path}: has one column by the separator {separator!r}; write it as the training data were.")
    return with_words(frame, path, separator, as_text, as_text)


def _separator(path: Path) -> str:
    return likely_separator(path) if is_file(path) else ","  # reading it will report what is wrong


def _array(
    path: Path | pd.DataFrame | npt.NDArray[Any], separator: str | None = None, named: str | None = None
) -> npt.NDArray[Any]:
    """The given array, or a file's only or best named one; for a table, its values."""
    if isinstance(path, np.ma.MaskedArray):  # only pandas treats masked cells as gaps
        return path
    if not isinstance(path, Path):
        return np.asarray(path)
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    if path.suffix.lower() != ".npz":
        values: npt.NDArray[Any] = _table(path, separator).to_numpy()
        return values
    return _member(path, named)


def _member(path: Path, named: str | None) -> npt.NDArray[Any]:
    """The only or best named array of an .npz file; others are not read."""

    def best_named(names: list[str]) -> list[str]:
        found = next((name for name in (named, *NPZ_INPUTS) if name in names), None)
        if found is None and len(names) != 1:
            there = ", ".join(map(repr, names)) or "none"
            raise DataError(f"{path}: name the array to predict on 'inputs'; there are {there}.")
        return names if found is None else [found]

    for array in read_npz(path, best_named).values():
        return array
    raise DataError(f"{path}: holds no NumPy array; write it with np.savez.")


def _is_table(rows: Path | pd.DataFrame | npt.NDArray[Any]) -> bool:
    if isinstance(rows, Path):
        return KINDS.get(rows.suffix.lower()) in ("CSV", "Parquet")
    return isinstance(rows, pd.DataFrame)


def _check_pixels(array: npt.NDArray[Any], shape: tuple[int, ...], name: str) -> None:
    """Refuse a table whose rows are not images, a pixel in each column."""
    pixels = int(np.prod(shape))
    if array.shape[1] != pixels:
        raise DataError(
            f"{name}: is a table of {array.shape[1]} columns, but this student has learned from images; give pictures, "
            f"an array [n, {', '.join(map(str, shape))}], or {pixels} columns with a pixel each."
        )


def _images(array: npt.NDArray[Any], shape: tuple[int, ...], name: str) -> npt.NDArray[np.uint8]:
    """Images [n, *shape], also from flat rows of pixels and from [n, h, w, channels]."""
    if array.ndim == 2 and array.shape[1] == int(np.prod(shape)):
        images = as_bytes(array, name).reshape(-1, *shape)
    elif array.shape[1:] == shape:
        images = as_bytes(array, name)
    elif array.shape[1:] == (*shape[1:], shape[0]):
        images = channels_first(as_bytes(array, name))
    elif array.ndim == 4:
        images = array
    else:
        images, _ = as_images(array, name)
    if not len(images):
        raise DataError(f"{name}: has no images; it needs some to predict.")
    if images.shape[1:] != shape:
        raise DataError(
            f"{name}: must be images [n, {', '.join(map(str, shape))}], but is {list(array.shape)}; of a picture in a "
            "file name the file."
        )
    return images
