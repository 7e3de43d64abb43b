"""Named arrays in one Arrow IPC file: written once, memory-mapped by every worker of a node, never copied.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format. A column is an array whose first axis is the
row; further axes lie in a fixed-size list, their shape in the schema's metadata. One record batch, no compression: a
column is one contiguous piece of the file, and all workers of a node share its pages.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

_SHAPES = b"distill_tune.shapes"


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays of equal length, atomically."""
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    columns = [_column(array) for array in arrays.values()]
    schema = pa.schema(
        [pa.field(name, column.type) for name, column in zip(arrays, columns, strict=True)],
        metadata={_SHAPES: json.dumps(shapes)},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    temporary.replace(path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file as read-only views on its mapped pages; nothing is copied."""
    with pa.ipc.open_file(pa.memory_map(str(path), "r")) as reader:
        batch = reader.get_batch(0)
    shapes = json.loads(batch.schema.metadata[_SHAPES])
    return {name: _array(batch.column(name), shapes[name]) for name in batch.schema.names}


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _column(array: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if array.ndim == 1:
        return flat
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))


def _array(column: pa.Array, shape: list[int]) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    if pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.to_numpy(zero_copy_only=True)).reshape(-1, *shape)
