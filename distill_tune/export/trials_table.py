"""`trials.parquet`: one row a trial, for pandas, DuckDB or a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_trials(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows, whose keys may differ, atomically; a value that is a list is written as its JSON text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([_plain(row.get(name)) for row in rows]) for name in names}
    temporary = path.with_suffix(".part")
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(path)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
