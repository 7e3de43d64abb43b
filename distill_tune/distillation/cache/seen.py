"""The training samples that a student may see, and their views; tensors that share the memory of mapped files."""

import numpy as np
import torch
from torch import Tensor

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.devices import memory_left
from distill_tune.distillation.views import Views

ON_DEVICE_BYTES = 1 << 30
"""A teacher's logits or features up to this size are copied to a trial's GPU, if it has room for them; others are read
from the files part by part."""
_SHARE_OF_OUTPUTS = 0.25
"""Share of the GPU memory left to a process that they may take; each teacher's logits, and features, in turn."""


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """A tensor that shares the array's memory, which may be a read-only file's; on another device, a copy."""
    return torch.from_dlpack(array).to(device)  # type: ignore[attr-defined]


def home_of_outputs(num_bytes: int, device: torch.device | str) -> torch.device:
    """Where a teacher's logits or features are kept: on `device`, or on the CPU if they are too large for a GPU."""
    home = torch.device(device)
    if home.type == "cuda" and num_bytes > min(ON_DEVICE_BYTES, _SHARE_OF_OUTPUTS * memory_left(home)):
        return torch.device("cpu")
    return home


def visible_rows(dataset: Dataset) -> Tensor:
    """int64: positions in the training split that the student may see."""
    labelled = torch.from_numpy(np.array(dataset.split("train").labelled))
    return torch.arange(len(labelled)) if dataset.rest == "unlabelled" else labelled.nonzero().flatten()


def num_visible(dataset: Dataset) -> int:
    """Number of training samples that the student may see."""
    return len(visible_rows(dataset))


def at_rows(tensor: Tensor, rows: Tensor) -> Tensor:
    """`tensor[rows]` for distinct, ascending rows; without a copy if these are all rows."""
    return tensor if len(rows) == len(tensor) else tensor[rows]


def training_views(config: Config, dataset: Dataset) -> Views:
    """Views of the samples that the student may see, in the order of `visible_rows`, augmented as configured."""
    train = dataset.split("train")
    inputs = at_rows(as_tensor(train.inputs), visible_rows(dataset))
    return Views(config.augmentation, inputs, dataset.mean, config.data.seed)
