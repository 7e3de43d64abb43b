"""Reading Parquet files, including those that pandas wrote with a row index.

Nothing heavy is imported at the top, because the entries of `sources/` import this module.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.data.files import check_names, of_kind
from distill_tune.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NAMELESS = "__index_level_"
"""Prefix of the columns that pandas writes for an unnamed row index."""


def read_parquet(path: str | Path, keep: Collection[str] = ()) -> pd.DataFrame:
    """A Parquet file's columns; pandas' row index is left out or, if `keep` names it, comes first.

    Raises:
        DataError: it is missing, empty, of another kind, truncated, or has two columns of one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = of_kind(path, "parquet")
    try:
        check_names(pq.read_schema(path).names, path)
        table = _readable(pq.read_table(path, partitioning=None))
    except (pa.ArrowException, OSError) as error:
        what = "its Parquet footer or a page does not fit"
        raise DataError(f"{path}: is truncated or damaged ({what}); write it again.") from error
    index = pandas_index(table.schema)
    others = [name for name in table.column_names if name not in index and not name.startswith(_NAMELESS)]
    kept = [name for name in index if name in keep]  # pandas writes them last, where the label is expected
    return table.select([*kept, *others]).replace_schema_metadata().to_pandas(ignore_metadata=True)


def _readable(table: pa.Table) -> pa.Table:
    """The same table with invalid UTF-8 text as bytes, which code that needs it refuses; pandas would fail later."""
    import pyarrow as pa

    for place, name in enumerate(table.column_names):
        try:
            table.column(place).validate(full=True)
        except pa.ArrowInvalid:
            table = table.set_column(place, name, table.column(place).cast(pa.large_binary()))
    return table


def named_index(path: Path) -> list[str]:
    """The columns of a Parquet file that were a named row index when pandas wrote them."""
    import pyarrow.parquet as pq

    return [name for name in pandas_index(pq.read_schema(path)) if not name.startswith(_NAMELESS)]


def numbers_of_rows(path: Path) -> list[Any]:
    """The values of the row index that pandas left in a Parquet file, one per row; empty if there is none.

    Concatenating or shuffling tables leaves the rows' former numbers there.
    """
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    stored = [name for name in schema.names if name in pandas_index(schema) or name.startswith(_NAMELESS)]
    if stored:
        columns = _readable(pq.read_table(path, columns=stored, partitioning=None)).columns
        values = [column.to_pandas().tolist() for column in columns]
        return values[0] if len(values) == 1 else list(zip(*values, strict=True))
    counted = next((entry for entry in _index_entries(schema) if isinstance(entry, dict)), {})
    bounds: list[Any] = [counted.get(key) for key in ("start", "stop", "step")]
    return list(range(*bounds)) if all(isinstance(each, int) for each in bounds) else []


def pandas_index(schema: pa.Schema) -> list[str]:
    """The columns that were pandas' row index; a range index is not stored as a column."""
    return [name for name in _index_entries(schema) if isinstance(name, str)]


def _index_entries(schema: pa.Schema) -> list[str | dict[str, Any]]:
    """A name per column of the index, or the start, stop and step of a range index."""
    try:
        return list((schema.pandas_metadata or {}).get("index_columns", []))
    except (ValueError, AttributeError, TypeError):  # damaged, or another program's
        return []
