"""`trials.parquet`: one row per trial, for pandas, DuckDB or a spreadsheet."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill_tune.atomic import new_file

_TYPES = {"message": pa.string()}
"""Columns whose type is known even if no trial has a value."""


def write_trials(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows, whose keys may differ, atomically; columns of lists or mixed types are written as JSON text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column([row.get(name) for row in rows], _TYPES.get(name)) for name in names}
    with new_file(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    kinds = {_kind(value) for value in values if value is not None}
    if list not in kinds and len(kinds) <= 1:
        with suppress(pa.ArrowInvalid, OverflowError):  # for integers that do not fit into 64 bits
            return pa.array(values, kind)
    return pa.array([None if value is None else json.dumps(value) for value in values])


def _kind(value: Any) -> Any:
    """The kind of a value; integers and other numbers are one, as in a table."""
    return next(kind for kind in (bool, int | float, str, list, object) if isinstance(value, kind))
