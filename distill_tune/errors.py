"""Every error that distill_tune raises on purpose.

DistillTuneError
├── InputError          the user's input is unusable: one line, exit status 2, nothing written
│   ├── ConfigError         the configuration, a range or a command-line value
│   ├── DataError           the data set
│   └── TeacherError        the teacher or its logits
├── CacheError          a file of ours is damaged; it is rebuilt or refused, never trained on
├── TrainingError       a training cannot continue, for example because its loss is not finite
└── StorageError        files cannot be written that a training needs or has produced; not the training's fault
"""

import re

_FROZEN = re.compile(r"1 validation error for (\w+)\s+(\w+)\s+Instance is frozen \[[^]]*\]")
"""Pydantic's message if a registry entry sets an attribute of itself."""
_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class DistillTuneError(Exception):
    """Base of all errors that distill_tune raises on purpose."""


class InputError(DistillTuneError):
    """The user's input cannot be used; the message is one line that says how to fix it."""


class ConfigError(InputError):
    """A key, value or range of the configuration breaks a rule."""


class DataError(InputError):
    """The data set is missing, truncated, of another kind, or breaks a rule."""


class TeacherError(InputError):
    """The teacher cannot be loaded, or its logits do not fit the data."""


class CacheError(DistillTuneError):
    """A cache file does not match its checksum."""


class TrainingError(DistillTuneError):
    """A training cannot continue, for example because its loss is not finite."""


class StorageError(DistillTuneError):
    """What a training needs or has produced cannot be written: a full disk or a quota, not the training's fault."""


def one_line(error: BaseException) -> str:
    """The message of an error of a library or of user code, on one line and short enough for our own messages.

    It is valid UTF-8, as it is written to files; file names in it need not be.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")  # torch writes some in bold
    plain = re.sub(r"\s+For further information visit \S+", "", plain)  # pydantic's links to its own pages
    plain = _FROZEN.sub(r"\1.\2 cannot be set, since a part remembers nothing from one call to the next", plain)
    plain = plain.encode(errors="backslashreplace").decode()
    text = " ".join(plain.split()).removesuffix(":")  # some errors have only a type
    return text if len(text) <= 300 else f"{text[:300]}..."


def last_line(error: BaseException) -> str:
    """The last line of an error's message: the actual error, if it holds another process's traceback."""
    return str(error).strip().rpartition("\n")[2][:300]


def is_short_of_memory(error: BaseException) -> bool:
    """Whether a GPU ran out of memory, for PyTorch or for CUDA and its libraries.

    PyTorch's own error covers only its own allocations. If other processes hold nearly all of the memory, CUDA, cuBLAS
    or cuDNN fail to initialise first. All are found by what they say, since PyTorch need not be loaded.
    """
    return isinstance(error, RuntimeError) and any(each in str(error) for each in _OF_MEMORY)
