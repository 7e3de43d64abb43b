"""Every error that distill_tune raises on purpose.

DistillTuneError
├── InputError          what the user gave is unusable: one line, exit status 2, nothing written
│   ├── ConfigError         the configuration, a range or a command-line value
│   ├── DataError           the data set
│   └── TeacherError        the teacher or its logits
├── CacheError          a file of ours is damaged; it is rebuilt or refused, never trained on
├── TrainingError       a training that cannot go on, such as a loss that is not finite
└── StorageError        what a training has come to cannot be written; no outcome of it
"""

import re

_FROZEN = re.compile(r"1 validation error for (\w+)\s+(\w+)\s+Instance is frozen \[[^]]*\]")
"""Of pydantic, where a registry entry sets something of itself."""


class DistillTuneError(Exception):
    """Base of all errors that distill_tune raises on purpose."""


class InputError(DistillTuneError):
    """Something that the user gave cannot be used; the message is one line with the way out."""


class ConfigError(InputError):
    """A key, value or range of the configuration breaks a rule."""


class DataError(InputError):
    """The data set is missing, truncated, of another kind, or breaks a rule."""


class TeacherError(InputError):
    """The teacher cannot be loaded, or its logits do not fit the data."""


class CacheError(DistillTuneError):
    """A cache file does not match its checksum."""


class TrainingError(DistillTuneError):
    """A training cannot go on, for example because its loss is not finite."""


class StorageError(DistillTuneError):
    """What a training has come to cannot be written: a full disk or a quota is no fault of the training."""


def one_line(error: BaseException) -> str:
    """What a library or a user's own code says is wrong, on one line and short enough for an error of ours.

    It ends in files of UTF-8, which names of files need not be.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")  # torch writes some in bold
    plain = re.sub(r"\s+For further information visit \S+", "", plain)  # of pydantic, about its own pages
    plain = _FROZEN.sub(r"\1.\2 cannot be set, since a part remembers nothing from one call to the next", plain)
    plain = plain.encode(errors="backslashreplace").decode()
    text = " ".join(plain.split()).removesuffix(":")  # some errors say nothing but what they are
    return text if len(text) <= 300 else f"{text[:300]}..."


def last_line(error: BaseException) -> str:
    """Where an error holds another process's traceback, what that one ended with."""
    return str(error).strip().rpartition("\n")[2][:300]
