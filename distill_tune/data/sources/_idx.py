"""The IDX format of MNIST and similar data sets: a magic number, the sizes, then bytes; often gzipped.

LeCun, Cortes, Burges, "The MNIST database", the section "File formats for the MNIST database"
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.data.files import existing, kind_of, named
from distill_tune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

UBYTE = 0x08
"""The format's code for unsigned bytes, the only type that image data sets use."""


def read_idx(path: Path, dimensions: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The uint8 array of an IDX file, gzipped or not (by its content, not its name).

    Raises:
        DataError: it is missing, empty, of another kind, truncated, or has another number of dimensions.
    """
    import numpy as np

    data = _unpacked(existing(path, "an IDX file"))
    header = 4 + 4 * dimensions
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UBYTE:
        inside = " with something else inside" if kind_of(path) == "gzip" else ""
        raise DataError(
            f"{path}: must be an IDX file of bytes, but is {named(kind_of(path))}{inside}; is it the right file?"
        )
    if data[3] != dimensions:
        raise DataError(
            f"{path}: must have {dimensions} dimensions, but its header says {data[3]} (images have 3, labels 1); is "
            "it the right file?"
        )
    if len(data) < header:
        raise DataError(f"{path}: is truncated: its header of {header} bytes ends after {len(data)}; get it again.")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != (promised := math.prod(shape)):
        raise DataError(
            f"{path}: is truncated or damaged: its header promises {shape[0]:,} items ({promised:,} bytes), "
            f"but {len(data) - header:,} bytes follow; get it again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: is truncated or damaged ({error}); get it again.") from error
