"""The prepared data set: a folder with one Arrow file per split and `data.json`, which describes them.

    cache/data-<fingerprint>/{train,validation,test}.arrow, data.json

It is written once, under a temporary name that is then renamed, and reused as long as the `[data]` section, the
source's content (and its code, if it is a user's) and the files' checksums do not change. Only `open_test` opens the
test split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.atomic import new_folder
from distill_tune.checksum import changed_in, checksums_of
from distill_tune.data.sources import Source
from distill_tune.data.spill import spilling_to
from distill_tune.errors import CacheError, DataError
from distill_tune.layout import Layout
from distill_tune.registry import DATA_SOURCES
from distill_tune.room import check_room
from distill_tune.users_code import source_of

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.build import Built

UNLABELLED = -1
"""The label of a sample that is only seen through the teacher."""
FORMAT = 7
"""The cache's version; changing it invalidates all older caches."""
_NOT_OF_THE_SPLIT = ("path", "student_samples", "rest")
_code_of = lru_cache(maxsize=8)(source_of)
"""Read once per process: editing the file meanwhile changes neither the loaded code nor the data that it makes."""


@dataclass(frozen=True)
class Split:
    """Memory-mapped, read-only NumPy views of one Arrow file; n rows."""

    inputs: npt.NDArray[Any]
    """uint8 [n, channels, height, width] for images, float32 [n, features] for tables."""
    labels: npt.NDArray[np.int64]
    """Class ids [n]; in train, UNLABELLED for rows without a label."""
    index: npt.NDArray[np.int64]
    """Row numbers in the source [n]; those of a source's own test split follow its training rows."""
    labelled: npt.NDArray[np.bool_]
    """[n]; in train, whether the student may see the label, elsewhere all True."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The description of a prepared data set; its splits are opened on demand."""

    folder: Path
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    """(channels, height, width) or (features,)."""
    mean: tuple[float, ...]
    """Each channel's mean in the training split, in stored units (0 to 255); () for tables, already standardised."""
    std: tuple[float, ...]
    """Likewise the standard deviation; 1 for a constant channel."""
    encoder: dict[str, Any] | None
    """For tables, the encoder for new rows, as `TableEncoder.from_dict` reads it; None for images."""
    fingerprint: str
    """Changes with the `[data]` section, the source's content, a user-defined source's code, or the format."""
    notes: tuple[str, ...]
    """What users must be told about the data."""
    rest: str
    """`data.rest`: "hidden" or "unlabelled"."""
    num_rows: dict[str, int]
    """Name of a split to its number of samples."""
    num_source_rows: int
    """Rows of the source including its own test split; a file of the teacher's logits must have as many."""
    folds: int | None = None
    """`data.folds`; if set, this is the split of one fold, without a test split, or that of all folds, without a
    separate validation split (`splits.py`)."""
    fold: int | None = None
    """The fold that is validated on."""
    split_fingerprint: str = ""
    """Changes with the rows of the splits and with their inputs, but not with which labels the student sees or where
    the files are."""

    @property
    def has_no_validation(self) -> bool:
        """Whether the validation split is part of the training split, as in the split of all folds."""
        return self.folds is not None and self.fold is None

    @property
    def is_image(self) -> bool:
        """Whether inputs are images."""
        return len(self.input_shape) == 3

    @property
    def layout(self) -> Layout | None:
        """Which features of a table's rows belong together; None for images."""
        return None if self.encoder is None else Layout.of_encoder(self.encoder)

    def split(self, name: Literal["train", "validation"]) -> Split:
        """The training or validation split, memory-mapped.

        Raises:
            CacheError: its file is missing or damaged.
        """
        if name not in ("train", "validation"):
            raise ValueError(f"split must be 'train' or 'validation', but got {name!r}; test is opened by open_test().")
        return Split(**read_arrays(self.folder / f"{name}.arrow"))


def open_test(dataset: Dataset) -> Split:
    """The test split, opened once per search, after everything has been chosen.

    Raises:
        CacheError: its file is missing or damaged.
    """
    return Split(**read_arrays(dataset.folder / "test.arrow"))


def open_dataset(folder: Path) -> Dataset:
    """Open the data set that `prepare_data` wrote to `folder`; cheap, as the splits' checksums are not verified.

    Raises:
        CacheError: `data.json` is missing or damaged.
    """
    document = _read_document(folder)
    kept = {field.name: document[field.name] for field in fields(Dataset) if field.name in document}
    as_tuples: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()
    }
    return Dataset(folder=folder, **as_tuples)


def prepare_data(config: DataConfig, cache: Path, fold: int | None = None, key: str = "--storage") -> Dataset:
    """The data set of `[data]`, opened from `cache/data-<fingerprint>/` or built and written there.

    Args:
        config: the `[data]` section.
        cache: the folder of caches; created when there is something to write.
        fold: which of `data.folds` is validated on; None trains on all of them.
        key: the option that sets the place of `cache`, for the error if it has no room.

    Raises:
        DataError: the data breaks a rule; nothing has been written.
        ConfigError: a key of `[data]` breaks a rule, or the disk has no room.
    """
    told = _told(config, fold)
    folder = data_folder(cache, _digits(told))
    damage = _damage(folder) if folder.exists() else "missing"
    if not damage:
        return open_dataset(folder)
    from distill_tune.data.build import build  # imports pandas, which a mere reader does not need

    with spilling_to(cache):
        built = build(config, fold)
        check_room(cache, built.num_bytes, "the prepared data", key=key)
        _write(built, config, told, folder, fold)
    dataset = open_dataset(folder)
    rebuilt = () if damage == "missing" else (f"the data cache was damaged ({damage}) and has been rebuilt",)
    return replace(dataset, notes=(*dataset.notes, *rebuilt))


def data_folder(cache: Path, fingerprint: str) -> Path:
    """The folder of the data set with this fingerprint in a folder of caches; need not exist."""
    return cache / f"data-{fingerprint}"


def fingerprint_of(config: DataConfig, fold: int | None = None) -> str:
    """16 hexadecimal digits that identify everything that determines the prepared data."""
    return _digits(_told(config, fold))


def _told(config: DataConfig, fold: int | None) -> dict[str, Any]:
    """Everything that determines the data.

    A user-defined source counts with its path and its code, since its `content` may miss a file or an edit.
    """
    source, is_own = Source.of(config), config.source not in DATA_SOURCES.names
    beside = {"passes", "folds"} | (set() if is_own else {"path"})
    section = config.model_dump(include=set(type(config).model_fields) - beside)
    folds = {} if config.folds is None else {"folds": config.folds, "fold": fold}
    code = {"code": _code_of(type(source))} if is_own else {}
    options = source.model_dump(mode="json")
    return {"format": FORMAT, **section, **folds, **code, "options": options, "content": _content(source, config)}


def _content(source: Source, config: DataConfig) -> str:
    content: object = source.content(config)
    if not isinstance(content, str):
        raise DataError(
            f"data.source: content of {config.source!r} must return text, but has returned {type(content).__name__}; "
            "let it return a str, such as a hexdigest()."
        )
    return content


def _digits(told: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(told)).hexdigest()[:16]


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _write(built: Built, config: DataConfig, told: dict[str, Any], folder: Path, fold: int | None) -> None:
    with new_folder(folder, is_whole=lambda folder: not _damage(folder)) as new:
        for name, arrays in built.splits.items():
            write_arrays(new / f"{name}.arrow", arrays)
        document = {name: value for name, value in vars(built).items() if name != "splits"}
        of_split = {name: value for name, value in told.items() if name not in _NOT_OF_THE_SPLIT}
        of_split["rows"] = {name: _digest(arrays["index"]) for name, arrays in built.splits.items()}
        document |= {"format": FORMAT, "fingerprint": _digits(told), "split_fingerprint": _digits(of_split)}
        document |= {"rest": config.rest, "folds": config.folds, "fold": fold}
        document["sha256"] = checksums_of(new.iterdir())
        document["checksum"] = hashlib.sha256(_canonical(document)).hexdigest()
        (new / "data.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _digest(index: npt.NDArray[np.int64]) -> str:
    """A digest of the rows themselves: another version of the image decoder may split the same files differently."""
    return hashlib.sha256(np.ascontiguousarray(index).tobytes()).hexdigest()


def _damage(folder: Path) -> str:
    """What is wrong with the cache in `folder`, or an empty string."""
    try:
        document = _read_document(folder)
    except CacheError as error:
        return str(error)
    changed = changed_in(folder, document["sha256"])
    return f"{changed} does not match its checksum" if changed else ""


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / "data.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        checksum = document.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CacheError(f"{path.name} is missing or damaged") from error
    if hashlib.sha256(_canonical(document)).hexdigest() != checksum:
        raise CacheError(f"{path.name} does not match its checksum")
    return document
