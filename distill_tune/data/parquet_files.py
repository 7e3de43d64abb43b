"""Reading Parquet files, those that pandas wrote with a row index among them.

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
"""How the columns begin that pandas makes of a row index without a name."""


def read_parquet(path: str | Path, keep: Collection[str] = ()) -> pd.DataFrame:
    """A Parquet file's columns; a row index that pandas left in it is none, or the first if `keep` names it.

    Raises:
        DataError: missing, empty, of another kind, truncated, or with two columns of a name.
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
    kept = [name for name in index if name in keep]  # pandas writes them last, where a label is looked for
    return table.select([*kept, *others]).replace_schema_metadata().to_pandas(ignore_metadata=True)


def _readable(table: pa.Table) -> pa.Table:
    """The same with bytes for text that is no UTF-8, at which pandas fails later: whoever needs them refuses them."""
    import pyarrow as pa

    for place, name in enumerate(table.column_names):
        try:
            table.column(place).validate(full=True)
        except pa.ArrowInvalid:
            table = table.set_column(place, name, table.column(place).cast(pa.large_binary()))
    return table


def named_index(path: Path) -> list[str]:
    """The columns of a Parquet file that were a row index with a name when pandas wrote them."""
    import pyarrow.parquet as pq

    return [name for name in pandas_index(pq.read_schema(path)) if not name.startswith(_NAMELESS)]


def numbers_of_rows(path: Path) -> list[Any]:
    """What the row index that pandas has left in a Parquet file has for each row; empty where there is none.

    Whoever puts tables together, or shuffles one, leaves the rows' former numbers there.
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
    """The columns that were pandas' row index; one that only counts is none."""
    return [name for name in _index_entries(schema) if isinstance(name, str)]


def _index_entries(schema: pa.Schema) -> list[str | dict[str, Any]]:
    """A name for each column of the index, or where it only counts from where and in what steps."""
    try:
        return list((schema.pandas_metadata or {}).get("index_columns", []))
    except (ValueError, AttributeError, TypeError):  # damaged, or somebody else's
        return []
