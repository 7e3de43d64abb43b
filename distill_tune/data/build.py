"""From what a source returns to the arrays of each split; all faults of the data are found here."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from distill_tune.arrays import Arrays
from distill_tune.data.class_notes import said_of_classes
from distill_tune.data.column_notes import said_of_columns
from distill_tune.data.columns import check_table
from distill_tune.data.dataset import UNLABELLED
from distill_tune.data.encoder import TableEncoder
from distill_tune.data.images import said_of_layout
from distill_tune.data.raw import SEEN_THROUGH_THE_TEACHER, RawImages, RawTable
from distill_tune.data.sources import Source
from distill_tune.data.sources._table import TableFile
from distill_tune.data.spill import taken
from distill_tune.data.splits import Fold, Rows, labelled_rows, split_rows
from distill_tune.errors import DataError

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig

_PIXELS = 1 << 22
"""Pixels counted at a time, each as an 8-byte integer."""


@dataclass(frozen=True)
class Built:
    """Everything that is written to the cache."""

    splits: dict[str, Arrays]
    """Name of a split to the four arrays of `Split`."""
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    encoder: dict[str, Any] | None
    notes: tuple[str, ...]
    num_rows: dict[str, int]
    num_source_rows: int

    @property
    def num_bytes(self) -> int:
        """Bytes of all splits."""
        return sum(array.nbytes for arrays in self.splits.values() for array in arrays.values())


@dataclass(frozen=True)
class _Inputs:
    """The inputs of each split, and the training split's statistics."""

    by_split: Arrays
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    encoder: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def build(config: DataConfig, fold: int | None = None) -> Built:
    """Load, check, split and encode the data; with a `fold` to validate on, there is no test split.

    Raises:
        DataError: the data breaks a rule.
        ConfigError: a key of `[data]` breaks a rule.
    """
    source = Source.of(config)
    raw = source.load(config)
    if not isinstance(raw, RawImages | RawTable):
        raise DataError(
            f"data.source: {config.source!r} must load RawImages or a RawTable, but has loaded {type(raw).__name__}; "
            "let its load return one of them."
        )
    _check_labelled(raw, config)
    if isinstance(raw, RawTable):
        key = f" (data.{config.source}.ignore)" if isinstance(source, TableFile) else ""
        check_table(raw.frame, raw.where, f"leave it out{key}")
    part = None if config.folds is None else Fold(config.folds, fold)
    rows = split_rows(raw, config.validation, config.test, config.seed, part)
    inputs = _of_table(raw, rows) if isinstance(raw, RawTable) else _of_images(raw, rows)
    return Built(
        splits={n: a for n, a in _arrays(raw, rows, inputs.by_split, config).items() if fold is None or n != "test"},
        classes=raw.classes,
        input_shape=inputs.by_split["train"].shape[1:],
        mean=inputs.mean,
        std=inputs.std,
        encoder=inputs.encoder,
        notes=(*raw.notes, *rows.notes, *inputs.notes, *_said_of_the_rest(raw, config), *said_of_classes(raw, rows)),
        num_rows={name: len(index) for name, index in _named(rows).items()},
        num_source_rows=len(raw.labels),
    )


def _check_labelled(raw: RawImages | RawTable, config: DataConfig) -> None:
    if config.rest != "unlabelled" and UNLABELLED in raw.labels:
        row = int((raw.labels == UNLABELLED).argmax())
        raise DataError(
            f"{raw.where}: row {row} has no label ({UNLABELLED}); fill it, leave it out, or {SEEN_THROUGH_THE_TEACHER}."
        )


def _said_of_the_rest(raw: RawImages | RawTable, config: DataConfig) -> list[str]:
    if config.rest != "unlabelled" or config.student_samples is not None or UNLABELLED in raw.labels:
        return []
    return [
        "data.rest = 'unlabelled' changes nothing: every sample has its label (data.student_samples keeps some back)"
    ]


def _named(rows: Rows) -> dict[str, npt.NDArray[np.int64]]:
    return {"train": rows.train, "validation": rows.validation, "test": rows.test}


def _of_table(raw: RawTable, rows: Rows) -> _Inputs:
    encoder = TableEncoder.fit(raw.frame.iloc[rows.train])
    if not encoder.feature_names:
        raise DataError(
            f"{raw.where}: every input column is constant; there is nothing to learn from, add one that varies."
        )
    features: Arrays = {name: encoder.transform(raw.frame.iloc[index]) for name, index in _named(rows).items()}
    return _Inputs(features, encoder=encoder.to_dict(), notes=tuple(said_of_columns(encoder, raw.frame)))


def _of_images(raw: RawImages, rows: Rows) -> _Inputs:
    images: Arrays = {name: taken(raw.inputs, index) for name, index in _named(rows).items()}
    return _Inputs(images, *_channel_statistics(images["train"]), notes=said_of_layout(raw.inputs, raw.where))


def _arrays(raw: RawImages | RawTable, rows: Rows, inputs: Arrays, config: DataConfig) -> dict[str, Arrays]:
    splits = {}
    for name, index in _named(rows).items():
        labels = raw.labels[index].astype(np.int64)
        samples = config.student_samples if name == "train" else None
        labelled = labelled_rows(labels, samples, config.seed, raw.where)
        splits[name] = {"inputs": inputs[name], "labels": labels, "index": index, "labelled": labelled}
    return splits


def _channel_statistics(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact mean and standard deviation of each channel of uint8 [n, channels, h, w], from a histogram.

    A constant channel gets a deviation of 1, so that dividing by it does nothing.
    """
    values, step = np.arange(256), max(1, _PIXELS // prod(images.shape[2:]))
    mean, std = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), step):
            counts += np.bincount(images[start : start + step, channel].ravel(), minlength=256)
        center = float((counts * values).sum() / counts.sum())
        spread = float(np.sqrt((counts * (values - center) ** 2).sum() / counts.sum()))
        mean.append(center)
        std.append(spread or 1.0)
    return tuple(mean), tuple(std)
