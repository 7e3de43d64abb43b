"""The teacher runs once: its raw logits for every view of every training sample, memory-mapped by all workers.

Raw logits, never softened probabilities: the temperature is searched. A file belongs to one teacher, one data set, one
augmentation and one number of views; all of them are in its folder's name, so a change of any of them is another file.
Storing many replayable views is the compromise between one fixed view, on which a student overfits, and a teacher that
runs beside every student (Beyer et al. 2022, https://arxiv.org/abs/2106.05237; Wu et al., "TinyViT", 2022,
https://arxiv.org/abs/2207.10666).
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.arrays import Arrays, read_arrays, write_arrays
from distill_tune.atomic import new_folder
from distill_tune.checksum import sha256_of
from distill_tune.config import Config
from distill_tune.data import Dataset, Split
from distill_tune.distillation.cache.progress import told
from distill_tune.distillation.cache.sparse import SparseLogits, kept, sample_bytes
from distill_tune.distillation.views import Views
from distill_tune.errors import TeacherError
from distill_tune.evaluation.portions import MOST, samples_at_a_time
from distill_tune.registry import AUGMENTATIONS
from distill_tune.teachers import LoadedTeacher, Say, source_of

_FORMAT = 1
"""Raised when the same augmentation shows other views, or files look different."""
_VIEW, _INDEX, _TAIL = "view_", "index_", "tail_"
"""How the names of columns begin; the last two are there where not all logits are kept."""
_CHECKSUMS = "checksums.json"
_DEFAULT_VIEWS = 8


class TeacherOutputs:
    """The cached logits of one teacher for one augmentation."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        """Map the files that `write_outputs` left in `folder`.

        Raises:
            CacheError: they are missing or damaged.
        """
        train = read_arrays(folder / "train.arrow") if (folder / "train.arrow").exists() else {}
        columns = {name: as_tensor(array, device) for name, array in train.items()}
        self.validation = as_tensor(read_arrays(folder / "validation.arrow")["logits"], device)
        """float32 [validation samples, classes]."""
        names = sorted(name.removeprefix(_VIEW) for name in columns if name.startswith(_VIEW))
        self._views = [_view(columns, name, self.validation.shape[1]) for name in names]

    @property
    def num_views(self) -> int:
        """How many views of each sample the teacher has labelled; 0 where it runs live."""
        return len(self._views)

    def logits(self, view: int) -> Tensor:
        """float32 [visible training samples, classes], raw; `take` where some samples do."""
        found = self._views[view]
        return found if isinstance(found, Tensor) else found.dense()

    def take(self, view: int, index: Tensor) -> Tensor:
        """float32 [batch, classes], raw: of the samples at `index`, int64 [batch]."""
        found = self._views[view]
        return found[index] if isinstance(found, Tensor) else found.dense(index)


def _view(columns: dict[str, Tensor], name: str, classes: int) -> Tensor | SparseLogits:
    largest, index = columns[f"{_VIEW}{name}"], columns.get(f"{_INDEX}{name}")
    return largest if index is None else SparseLogits(largest, index, columns[f"{_TAIL}{name}"], classes)


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """A tensor on the array's own memory, which may be a read-only file's; on another device, a copy."""
    return torch.from_dlpack(array).to(device)  # type: ignore[attr-defined]


def number_of_views(config: Config) -> int:
    """`teacher.views`, or enough for the first epochs; one where nothing changes the data, none for a live teacher."""
    if config.teacher.mode == "live":
        return 0
    if not any(config.augmentation.amounts.values()):
        return 1
    return config.teacher.views or min(_DEFAULT_VIEWS, config.search.max_epochs * config.data.passes)


def outputs_folder(teacher_folder: Path, config: Config) -> Path:
    """Where the outputs for this augmentation and number of views are; a live teacher's are the same for all."""
    count = number_of_views(config)
    amounts = sorted((name, amount) for name, amount in config.augmentation.amounts.items() if amount and count)
    own = [source_of(AUGMENTATIONS.get(name)) for name, _ in amounts if ":" in name]
    keep = [] if config.teacher.keep is None or not count else [config.teacher.keep]
    what = json.dumps([_FORMAT, amounts, own, count, config.data.seed, *keep])
    return teacher_folder / f"views-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def outputs_are_whole(folder: Path) -> bool:
    """Whether the outputs are there and match their checksums."""
    try:
        checksums = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(checksums) and all(sha256_of(folder / name) == kept for name, kept in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False


def write_checksums(folder: Path) -> None:
    """Write what `outputs_are_whole` compares the folder's Arrow files with."""
    checksums = {path.name: sha256_of(path) for path in sorted(folder.glob("*.arrow"))}
    (folder / _CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")


def write_outputs(folder: Path, config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say) -> None:
    """Run the teacher over every view of the training samples, and over the validation samples as they are.

    The folder appears when it is whole; two programs may make it at a time.

    Raises:
        TeacherError: a logit is not finite.
    """
    with new_folder(folder, outputs_are_whole) as new:
        if number_of_views(config):
            write_arrays(new / "train.arrow", _label_train(config, dataset, teacher, say))
        validation = dataset.split("validation")
        write_arrays(new / "validation.arrow", {"logits": label_inputs(teacher, validation.inputs, validation.index)})
        write_checksums(new)


def visible_rows(train: Split, rest: str) -> Tensor:
    """int64: positions in the training split that the student may see; `rest` is `data.rest`."""
    labelled = torch.from_numpy(np.array(train.labelled))
    return torch.arange(len(labelled)) if rest == "unlabelled" else labelled.nonzero().flatten()


def at_rows(tensor: Tensor, rows: Tensor) -> Tensor:
    """`tensor[rows]` for distinct, ascending rows; without a copy where they are all."""
    return tensor if len(rows) == len(tensor) else tensor[rows]


def _label_train(config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say) -> dict[str, np.ndarray]:
    """Name of a view to float32 [visible samples, classes]."""
    train = dataset.split("train")
    rows = visible_rows(train, dataset.rest)
    views = Views(config.augmentation, at_rows(as_tensor(train.inputs), rows), dataset.mean, config.data.seed)
    count, source_rows = number_of_views(config), train.index[rows.numpy()]
    classes = len(dataset.classes)
    keep = kept(config.teacher.keep, classes)
    saved = _in_words(keep, classes, len(rows) * count)
    say(f"teacher labels {len(rows):,} samples in {count} view{'s' * (count > 1)}{saved}")
    columns: Arrays = {}
    for view in told(count, say):
        columns |= _columns(f"{view:05d}", label_view(teacher, views, view, source_rows), keep)
    return columns


def _columns(name: str, logits: np.ndarray, keep: int | None) -> Arrays:
    if keep is None:
        return {f"{_VIEW}{name}": logits}
    parts = [SparseLogits.of(part, keep) for part in torch.from_numpy(logits).split(MOST)]
    largest, index, tail = (
        torch.cat([getattr(part, what) for part in parts]).numpy() for what in ("largest", "index", "tail")
    )
    return {f"{_VIEW}{name}": largest, f"{_INDEX}{name}": index, f"{_TAIL}{name}": tail}


def _in_words(keep: int | None, classes: int, labelled: int) -> str:
    """What is left out, where something is."""
    if keep is None:
        return ""
    all_mb, kept_mb = (labelled * sample_bytes(classes, k) / 1e6 for k in (None, keep))
    return f", and keeps {keep:,} of {classes:,} logits: {kept_mb:,.1f} MB, not {all_mb:,.1f} (teacher.keep)"


def label_view(teacher: LoadedTeacher, views: Views, view: int, source_rows: np.ndarray) -> np.ndarray:
    """float32 [n, classes]: the teacher's logits for one view of samples that are in rows [n] of the source."""
    if teacher.table is not None:
        return np.asarray(teacher.table[source_rows])
    assert teacher.module is not None
    portions = torch.arange(len(source_rows)).split(at_a_time(teacher.module, views.sample_shape))
    return np.concatenate([_run(teacher.module, views.take(index, view).inputs) for index in portions])


def label_inputs(teacher: LoadedTeacher, inputs: np.ndarray, source_rows: np.ndarray) -> np.ndarray:
    """float32 [n, classes]: the teacher's logits for inputs as they are."""
    if teacher.mix is not None:
        logits = {name: label_inputs(teacher.members[name], inputs, source_rows) for name in teacher.mix.weights}
        return np.asarray(teacher.mix.of({name: torch.from_numpy(each) for name, each in logits.items()}).numpy())
    if teacher.table is not None:
        return np.asarray(teacher.table[source_rows])
    assert teacher.module is not None
    portions = as_tensor(inputs).split(at_a_time(teacher.module, inputs.shape[1:]))
    return np.concatenate([_run(teacher.module, portion) for portion in portions])


def at_a_time(module: nn.Module, sample_shape: Sequence[int]) -> int:
    """How many samples of this shape a teacher sees at once, where it is."""
    return samples_at_a_time(sample_shape, next(module.parameters(), torch.empty(0)).device.type)


@torch.inference_mode()
def _run(module: nn.Module, inputs: Tensor) -> np.ndarray:
    device = next(module.parameters(), inputs).device
    logits = module(inputs.to(device)).float().cpu()
    if not logits.isfinite().all():
        raise TeacherError("teacher: one of its logits is not a finite number; check its weights and its input range.")
    return np.asarray(logits.numpy())
