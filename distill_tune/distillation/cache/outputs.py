"""Run the teacher once and cache its raw logits for every view of every training sample, memory-mapped by all workers.

Logits are stored raw, never as softened probabilities, since the temperature is searched. A file belongs to one
teacher, one data set, one augmentation and one number of views; its folder's name depends on all of them. Storing many
replayable views is a compromise between one fixed view, on which a student overfits, and running the teacher alongside
every student (Beyer et al. 2022, https://arxiv.org/abs/2106.05237; Wu et al., "TinyViT", 2022,
https://arxiv.org/abs/2207.10666).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from distill_tune.arrays import Arrays, read_arrays, write_arrays
from distill_tune.atomic import new_folder
from distill_tune.config import Config
from distill_tune.config.messages import shown
from distill_tune.data import Dataset
from distill_tune.distillation.cache.folders import number_of_views, outputs_are_whole, write_checksums
from distill_tune.distillation.cache.labelling import Runner, label_inputs, label_view
from distill_tune.distillation.cache.progress import Progress
from distill_tune.distillation.cache.seen import as_tensor, home_of_outputs, training_views, visible_rows
from distill_tune.distillation.cache.sparse import SparseLogits, kept, sample_bytes
from distill_tune.distillation.devices import gathered
from distill_tune.teachers import LoadedTeacher, Say
from distill_tune.teachers.probabilities import refuse_probabilities

TRAIN, VALIDATION = "train.arrow", "validation.arrow"
_VIEW, _INDEX, _TAIL = "view_", "index_", "tail_"
"""Prefixes of column names; the last two exist only if not all logits are kept."""


class Outputs(Protocol):
    """What a training reads of a teacher's outputs: one teacher's in this file, several teachers' in `mixed.py`."""

    folder: Path
    """Their folder, for messages; of several teachers the first's."""
    validation: Tensor
    """float32 [validation samples, classes]."""

    @property
    def num_views(self) -> int:
        """Number of views of each sample that are labelled; 0 if the teacher runs live."""

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw; use `take` for some samples only."""

    def take(self, view: int, index: Tensor) -> Tensor:
        """float32 [batch, classes], raw, for the samples at `index`, int64 [batch]."""


class TeacherOutputs:
    """The cached logits of one teacher for one augmentation."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        """Memory-map the files that `write_outputs` wrote to `folder`.

        Raises:
            CacheError: they are missing or damaged.
        """
        self.folder, self._device = folder, torch.device(device)
        train = read_arrays(folder / TRAIN) if (folder / TRAIN).exists() else {}
        where = home_of_outputs(sum(array.nbytes for array in train.values()), device)
        columns = {name: as_tensor(array, where) for name, array in train.items()}
        self.validation = as_tensor(read_arrays(folder / VALIDATION)["logits"], device)
        """float32 [validation samples, classes]."""
        names = sorted(name.removeprefix(_VIEW) for name in columns if name.startswith(_VIEW))
        self._views = [_view(columns, name, self.validation.shape[1]) for name in names]

    @property
    def num_views(self) -> int:
        """Number of views of each sample that the teacher has labelled; 0 if it runs live."""
        return len(self._views)

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw; use `take` for some samples only."""
        found = self._views[view]
        return found if isinstance(found, Tensor) else found.dense()

    def take(self, view: int, index: Tensor) -> Tensor:
        """float32 [batch, classes], raw, for the samples at `index`, int64 [batch]."""
        found = self._views[view]
        if isinstance(found, Tensor):
            return gathered(found, index, self._device)
        return found.at(index, self._device).dense()


def _view(columns: dict[str, Tensor], name: str, classes: int) -> Tensor | SparseLogits:
    largest, index = columns[f"{_VIEW}{name}"], columns.get(f"{_INDEX}{name}")
    return largest if index is None else SparseLogits(largest, index, columns[f"{_TAIL}{name}"], classes)


def write_outputs(
    folder: Path, config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say, runner: Runner | None = None
) -> None:
    """Run the teacher over the unaugmented validation samples and over every view of the training samples.

    The folder appears once it is complete; two programs may write it at the same time. `runner` labels the views.

    Raises:
        TeacherError: a logit is not finite, or the outputs are probabilities.
    """
    validation = dataset.split("validation")
    logits = label_inputs(teacher, validation.inputs, validation.index)
    refuse_probabilities(logits, "teacher: its outputs are")
    with new_folder(folder, outputs_are_whole) as new:
        write_arrays(new / VALIDATION, {"logits": logits})
        if number_of_views(config):
            write_arrays(new / TRAIN, _label_train(config, dataset, teacher, say, runner or Runner()))
        write_checksums(new)


def _label_train(config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say, runner: Runner) -> Arrays:
    """Columns of all views, each of [visible samples, ...]; see `_cut`."""
    train = dataset.split("train")
    source_rows = train.index[visible_rows(dataset).numpy()]
    views, count, classes = training_views(config, dataset), number_of_views(config), len(dataset.classes)
    keep, labelled = kept(config.teacher.keep, classes), len(source_rows) * count
    saved = _in_words(keep, classes, labelled)
    said = f"{count} view{'s' * (count > 1)}{_in_amounts(config)}"
    say(f"teacher labels {len(source_rows):,} samples in {said}{saved}")
    progress, columns = Progress(labelled, say), Arrays()
    for view in range(count):
        portions = label_view(teacher, views, view, source_rows, progress.seen, runner)
        columns |= _columns(f"{view:05d}", portions, len(source_rows), keep)
    return columns


def _in_amounts(config: Config) -> str:
    """The augmentation of the views, by which a space's variants are told apart."""
    amounts = [f"{name} {shown(amount)}" for name, amount in config.augmentation.amounts.items() if amount]
    return f" ({', '.join(amounts)})" if amounts else ""


def _columns(name: str, portions: Iterator[Tensor], samples: int, keep: int | None) -> Arrays:
    """The columns of one view, filled portion by portion; each portion is truncated before the next is computed."""
    columns, filled = Arrays(), 0
    for portion in portions:
        for column, values in _cut(name, portion, keep).items():
            if column not in columns:
                columns[column] = np.empty((samples, *values.shape[1:]), values.dtype)
            columns[column][filled : filled + len(values)] = values
        filled += len(portion)
    return columns


def _cut(name: str, logits: Tensor, keep: int | None) -> Arrays:
    if keep is None:
        return {f"{_VIEW}{name}": logits.numpy()}
    short = SparseLogits.of(logits, keep)
    return {
        f"{_VIEW}{name}": short.largest.numpy(),
        f"{_INDEX}{name}": short.index.numpy(),
        f"{_TAIL}{name}": short.tail.numpy(),
    }


def _in_words(keep: int | None, classes: int, labelled: int) -> str:
    """How many logits are kept, as a message; empty if all are."""
    if keep is None:
        return ""
    all_mb, kept_mb = (labelled * sample_bytes(classes, k) / 1e6 for k in (None, keep))
    return f", and keeps {keep:,} of {classes:,} logits: {kept_mb:,.1f} MB, not {all_mb:,.1f} (teacher.keep)"
