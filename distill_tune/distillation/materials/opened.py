"""Tensors that the trainings of one process share: a data set and a teacher's outputs, opened once.

On a CPU they are mapped files; on a GPU, or if a student may see only some rows, they are copies, of which each of many
lanes would otherwise have its own. They are freed with the last training that holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from distill_tune.data import UNLABELLED, Dataset, open_dataset
from distill_tune.distillation.cache.outputs import TeacherOutputs
from distill_tune.distillation.cache.seen import as_tensor, at_rows, visible_rows
from distill_tune.distillation.devices import memory_left


@dataclass(frozen=True, eq=False)
class Opened:
    """A data set on a device, as a student or teacher may see it."""

    dataset: Dataset
    inputs: Tensor
    """[visible training samples, *input_shape], unaugmented; images that do not fit on a GPU stay on the CPU."""
    labels: Tensor
    """int64 [visible training samples]; UNLABELLED if hidden from the student."""
    validation_inputs: Tensor
    validation_labels: Tensor


_SHARE_OF_DATA = 0.5
"""Share of the GPU memory available to a process that inputs may take; the rest is for training."""
_datasets: WeakValueDictionary[tuple[Path, str, bool], Opened] = WeakValueDictionary()
_outputs: WeakValueDictionary[tuple[Path, str], TeacherOutputs] = WeakValueDictionary()


def opened(folder: Path, device: torch.device | str, see_all: bool) -> Opened:
    """The data set in a folder; `see_all` is for teachers, which see every label."""
    key = folder, str(device), see_all
    found = _datasets.get(key)
    if found is None:
        _datasets[key] = found = _open(folder, device, see_all)
    return found


def teacher_outputs(folder: Path, device: torch.device | str) -> TeacherOutputs:
    """The outputs that `write_outputs` wrote to a folder.

    Raises:
        CacheError: they are missing or damaged.
    """
    key = folder, str(device)
    found = _outputs.get(key)
    if found is None:
        _outputs[key] = found = TeacherOutputs(folder, device)
    return found


def _open(folder: Path, device: torch.device | str, see_all: bool) -> Opened:
    dataset = open_dataset(folder)
    train, validation = dataset.split("train"), dataset.split("validation")
    where = home_of(train.inputs.nbytes + validation.inputs.nbytes, dataset.is_image, torch.device(device))
    inputs, labels = as_tensor(train.inputs, where), as_tensor(train.labels, device)
    if not see_all:
        inputs, labels = _seen(inputs, labels, dataset)
    return Opened(dataset, inputs, labels, as_tensor(validation.inputs, where), as_tensor(validation.labels, device))


def home_of(num_bytes: int, are_images: bool, device: torch.device) -> torch.device:
    """Where inputs are kept: on `device`, but images that a GPU has no room for on the CPU, to be copied by chunk."""
    if device.type != "cuda" or not are_images:
        return device
    return device if num_bytes < _SHARE_OF_DATA * memory_left(device) else torch.device("cpu")


def _seen(inputs: Tensor, labels: Tensor, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Inputs and labels that the student may see; not copied if it sees everything."""
    rows = visible_rows(dataset)
    labelled = torch.from_numpy(np.array(dataset.split("train").labelled)).to(labels.device)
    known = labels if bool(labelled.all()) else labels.where(labelled, UNLABELLED)
    return at_rows(inputs, rows.to(inputs.device)), at_rows(known, rows.to(labels.device))
