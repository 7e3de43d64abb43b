"""The teacher runs once: its raw logits for every view of every training sample, memory-mapped by all workers.

Raw logits, never softened probabilities: the temperature is searched. A file belongs to one teacher, one data set, one
augmentation and one number of views; all of them are in its folder's name, so a change of any of them is another file.
Storing many replayable views is the compromise between one fixed view, on which a student overfits, and a teacher that
runs beside every student (Beyer et al. 2022, https://arxiv.org/abs/2106.05237; Wu et al., "TinyViT", 2022,
https://arxiv.org/abs/2207.10666).
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.checksum import sha256_of
from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.views import Views
from distill_tune.teachers._base import LoadedTeacher

_DEFAULT_VIEWS = 8
_LABEL_BATCH = 1000


class TeacherOutputs:
    """The cached logits of one teacher for one augmentation."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        train = read_arrays(folder / "train.arrow") if (folder / "train.arrow").exists() else {}
        self._views = [as_tensor(train[name], device) for name in sorted(train)]
        self.validation = as_tensor(read_arrays(folder / "validation.arrow")["logits"], device)
        """float32 [validation samples, classes]."""

    @property
    def num_views(self) -> int:
        """How many views of each sample the teacher has labelled; 0 where it runs live."""
        return len(self._views)

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw."""
        return self._views[view]


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """A tensor on the array's own memory; on another device, a copy."""
    return torch.from_dlpack(array).to(device)  # type: ignore[attr-defined]


def number_of_views(config: Config) -> int:
    """`teacher.views`, or one where nothing changes the data, or enough for the first epochs; 0 for a live teacher."""
    if config.teacher.mode == "live":
        return 0
    if config.teacher.views is not None:
        return config.teacher.views
    if not any(config.augmentation.amounts.values()):
        return 1
    return min(_DEFAULT_VIEWS, config.search.max_epochs * config.data.passes)


def outputs_folder(teacher_folder: Path, config: Config) -> Path:
    """Where the outputs for this augmentation and number of views are."""
    amounts = {name: amount for name, amount in config.augmentation.amounts.items() if amount}
    what = json.dumps([sorted(amounts.items()), number_of_views(config), config.data.seed])
    return teacher_folder / f"views-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def outputs_are_whole(folder: Path) -> bool:
    """Whether the outputs are there and match their checksums."""
    record = folder / "checksums.json"
    if not record.exists():
        return False
    checksums: dict[str, str] = json.loads(record.read_text())
    return all(
        (folder / name).exists() and sha256_of(folder / name) == checksum for name, checksum in checksums.items()
    )


def write_outputs(
    folder: Path, config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Callable[[str], None]
) -> None:
    """Run the teacher over every view of the training samples, and over the validation samples as they are."""
    train, validation = dataset.split("train"), dataset.split("validation")
    rows = visible_rows(dataset)
    views = Views(config.augmentation, as_tensor(train.inputs)[rows], dataset.mean, config.data.seed)
    count = number_of_views(config)
    source_rows = train.index[rows.numpy()]
    if count:
        say(f"teacher labels {len(rows):,} samples in {count} view{'s' * (count > 1)}")
        logits = {f"view_{view:05d}": label_view(teacher, views, len(rows), view, source_rows) for view in range(count)}
        write_arrays(folder / "train.arrow", logits)
    write_arrays(folder / "validation.arrow", {"logits": label_inputs(teacher, validation.inputs, validation.index)})
    checksums = {path.name: sha256_of(path) for path in folder.glob("*.arrow")}
    (folder / "checksums.json").write_text(json.dumps(checksums))


def visible_rows(dataset: Dataset) -> Tensor:
    """int64: positions in the training split that the student may see."""
    labelled = torch.from_numpy(np.array(dataset.split("train").labelled))
    return torch.arange(len(labelled)) if dataset.rest == "unlabelled" else labelled.nonzero().flatten()


def label_view(teacher: LoadedTeacher, views: Views, count: int, view: int, source_rows: np.ndarray) -> np.ndarray:
    """float32 [count, classes]: the teacher's logits for one view."""
    if teacher.table is not None:
        return np.asarray(teacher.table[source_rows])
    assert teacher.module is not None
    batches = torch.arange(count).split(_LABEL_BATCH)
    return np.concatenate([_run(teacher.module, views.take(index, view).inputs) for index in batches])


def label_inputs(teacher: LoadedTeacher, inputs: np.ndarray, source_rows: np.ndarray) -> np.ndarray:
    """float32 [n, classes]: the teacher's logits for inputs as they are."""
    if teacher.table is not None:
        return np.asarray(teacher.table[source_rows])
    assert teacher.module is not None
    return np.concatenate([_run(teacher.module, batch) for batch in as_tensor(inputs).split(_LABEL_BATCH)])


@torch.inference_mode()
def _run(module: nn.Module, inputs: Tensor) -> np.ndarray:
    return np.asarray(module(inputs).float().numpy())
