"""One split as one memory-mapped Arrow IPC file: workers of a node read the same pages, without a copy.

The file is uncompressed and holds a single record batch, so each column is one stretch of memory. Inputs are
a fixed-shape tensor, which other tools read as such:
https://arrow.apache.org/docs/format/CanonicalExtensions.html
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from distill_tune.errors import CacheError

Arrays = dict[str, npt.NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write `inputs`, `labels`, `index` and `labelled`, each [n, ...], as one record batch."""
    columns = {
        "inputs": _tensor(arrays["inputs"]),
        "labels": pa.array(arrays["labels"]),
        "index": pa.array(arrays["index"]),
        # As bytes: Arrow packs booleans into bits, of which there is no NumPy view.
        "labelled": pa.array(arrays["labelled"].view(np.uint8)),
    }
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _tensor(rows: npt.NDArray[Any]) -> pa.Array:
    """[n, ...] as a tensor column in row-major order; pyarrow's own way permutes axes of length 1."""
    flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
    kind = pa.fixed_shape_tensor(flat.type, rows.shape[1:])
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(flat, math.prod(rows.shape[1:])))


def map_buffer(path: Path) -> pa.Buffer:
    """The whole file, memory-mapped read-only."""
    with pa.memory_map(str(path), "r") as file:
        return file.read_buffer()


def read_arrays(path: Path) -> Arrays:
    """Read-only views on the mapped file, as `write_arrays` wrote it.

    Raises:
        CacheError: it is missing or no Arrow file of ours.
    """
    try:
        batch = pa.ipc.open_file(map_buffer(path)).get_batch(0)
        inputs = batch.column("inputs")
        return {
            "inputs": _view(inputs.storage.flatten(), inputs.type.value_type).reshape(-1, *inputs.type.shape),
            **{name: _view(batch.column(name), pa.int64()) for name in ("labels", "index")},
            "labelled": _view(batch.column("labelled"), pa.uint8()).view(np.bool_),
        }
    except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
        raise CacheError(f"{path}: is missing or damaged; delete its folder, it is built again.") from error


def _view(column: pa.Array, kind: pa.DataType) -> npt.NDArray[Any]:
    """The values in place; `Array.to_numpy` would do, but imports pandas: half a second for every worker."""
    data, dtype = column.buffers()[1], kind.to_pandas_dtype()
    values: npt.NDArray[Any] = np.frombuffer(data, dtype=dtype, count=len(column))
    return values
