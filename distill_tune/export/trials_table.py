"""`trials.parquet`: one row a trial, for pandas, DuckDB or a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill_tune.atomic import new_file


def write_trials(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows, whose keys may differ, atomically; a value that is a list is written as its JSON text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([_plain(row.get(name)) for row in rows]) for name in names}
    with new_file(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
