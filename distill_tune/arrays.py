"""Named arrays in one Arrow IPC file: written once, memory-mapped by every worker of a node, never copied.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format. The file is uncompressed and holds a single
record batch, so each array is contiguous in memory, and all workers of a node share its pages. Arrays of more than one
axis are fixed-shape tensors, which other tools can read:
https://arrow.apache.org/docs/format/CanonicalExtensions.html
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from distill_tune.atomic import new_file
from distill_tune.errors import CacheError

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays of equal length, [n, ...] each, atomically; booleans as bytes, since NumPy cannot view bits."""
    columns = {name: _column(np.ascontiguousarray(array)) for name, array in arrays.items()}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    booleans = ",".join(name for name, array in arrays.items() if array.dtype == np.bool_)
    schema = batch.schema.with_metadata({"booleans": booleans})
    with new_file(path) as temporary, pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def read_arrays(path: Path) -> Arrays:
    """Read-only views of a memory-mapped file that `write_arrays` wrote.

    Raises:
        CacheError: it is missing or was not written by `write_arrays`.
    """
    try:
        batch = pa.ipc.open_file(map_buffer(path)).get_batch(0)
        booleans = batch.schema.metadata[b"booleans"].decode().split(",")
        arrays = {name: _view(batch.column(name)) for name in batch.schema.names}
    except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError) as error:
        raise CacheError(f"{path}: is missing or damaged; delete its folder, it is built again.") from error
    return {name: array.view(np.bool_) if name in booleans else array for name, array in arrays.items()}


def map_buffer(path: Path) -> pa.Buffer:
    """The whole file, memory-mapped read-only."""
    with pa.memory_map(str(path), "r") as file:
        return file.read_buffer()


def _column(array: Array) -> pa.Array:
    """An array [n, ...] as a column, row-major; pyarrow's own tensor constructor permutes axes of length 1."""
    flat = pa.array((array.view(np.uint8) if array.dtype == np.bool_ else array).reshape(-1))
    if array.ndim == 1:
        return flat
    kind = pa.fixed_shape_tensor(flat.type, array.shape[1:])
    storage = pa.FixedSizeListArray.from_arrays(flat, math.prod(array.shape[1:]))
    return pa.ExtensionArray.from_storage(kind, storage)


def _view(column: pa.Array) -> Array:
    """A column's values without copying; `Array.to_numpy` would import pandas: half a second for every worker."""
    if isinstance(column, pa.FixedShapeTensorArray):
        return _view(column.storage.flatten()).reshape(-1, *column.type.shape)
    data, dtype = column.buffers()[1], column.type.to_pandas_dtype()
    values: Array = np.frombuffer(data, dtype=dtype, count=len(column))
    return values
