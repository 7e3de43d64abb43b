"""What a worker opens for a training besides its configuration: data, views, and the teacher's outputs or the teacher.

`Prepared` is a small reference that is sent to workers; `Materials` maps the files. Opening takes milliseconds, so a
worker does it per trial, and files mapped by two trials are in memory once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.data import UNLABELLED, Dataset, open_dataset
from distill_tune.distillation.cache.features import ANATOMY, TeacherFeatures
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.mixed import MixedOutputs
from distill_tune.distillation.cache.outputs import Outputs
from distill_tune.distillation.cache.weights import TeacherWeights
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.features.anatomy import Anatomy
from distill_tune.distillation.materials.batches import Batches
from distill_tune.distillation.materials.opened import Opened, home_of, opened, teacher_outputs
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.seeds import seed_of
from distill_tune.distillation.views import Views
from distill_tune.errors import CacheError
from distill_tune.evaluation.corrupted import dealt_out
from distill_tune.students import Student, student_on
from distill_tune.teachers import Teacher
from distill_tune.teachers.mixing import Mix, MixedNetwork

CORRUPTED = "val/corrupted_accuracy"


@dataclass(frozen=True)
class Materials:
    """Everything that one training reads."""

    dataset: Dataset
    views: Views
    labels: Tensor
    """int64 [visible training samples]; UNLABELLED if hidden from the student."""
    validation_inputs: Tensor
    validation_labels: Tensor
    teacher: Outputs | None
    live_teacher: nn.Module | None
    train_inputs: Tensor
    """[visible training samples, *input_shape], unaugmented."""
    teacher_weights: TeacherWeights | None = None
    """The teacher's weights, stored only if something in the space needs them."""
    corrupted: tuple[Tensor, Tensor] | None = None
    """Corrupted validation samples and their labels, if they are an objective (`evaluation/corrupted.py`)."""
    teacher_folder: Path | None = None
    """The folder with all of the teacher's files."""
    sources: Mapping[str, str] | None = None
    """As in `Prepared`."""
    shared: Opened | None = None
    """Tensors shared with other open materials, kept alive as long as one of them holds this."""

    @classmethod
    def open(
        cls, prepared: Prepared, config: Config, device: torch.device | str = "cpu", see_all: bool = False
    ) -> Materials:
        """Map the files, or copy them to a GPU, once for all trainings that the process has open at a time.

        `see_all` is for teachers, which see every label and are trained on other views than the student's, so that they
        have not memorised those that they label.
        """
        shared, folder = opened(prepared.data_folder, device, see_all), prepared.teacher_folder
        return cls(
            dataset=shared.dataset,
            views=Views(config.augmentation, shared.inputs, shared.dataset.mean, _seed_of_views(config, see_all)),
            labels=shared.labels,
            validation_inputs=shared.validation_inputs,
            validation_labels=shared.validation_labels,
            train_inputs=shared.inputs,
            teacher=_outputs(prepared, config, device),
            live_teacher=_live(prepared, config, device),
            teacher_weights=None if folder is None else TeacherWeights(folder),
            corrupted=_corrupted(prepared.data_folder, str(device)) if CORRUPTED in config.search.objectives else None,
            teacher_folder=folder,
            sources=prepared.sources,
            shared=shared,
        )

    def teacher_anatomy(self) -> Anatomy:
        """The teacher's layers.

        Raises:
            CacheError: prepared for a space in which no loss compares features.
        """
        assert self.teacher_folder is not None, "prepared with a teacher"
        return Anatomy.read(self.teacher_folder / ANATOMY)

    def batches(
        self, config: Config, seed: int, shard: Shard, use_teacher: bool, teacher_layers: Sequence[str] = ()
    ) -> Batches:
        """The batches of a training with this configuration.

        Without the teacher, unlabelled samples teach nothing: the student then sees only the labelled ones, in as many
        passes as make an epoch about as long.

        Args:
            config: of the training.
            seed: for the order of the samples.
            shard: this worker's part.
            use_teacher: whether the loss uses the teacher.
            teacher_layers: layers whose features the loss compares; replayed unless the teacher runs live.

        Raises:
            ValueError: the materials were opened without a teacher.
            CacheError: the teacher's logits, or the features of a layer, are missing or damaged.
        """
        if use_teacher and self.teacher is None:
            raise ValueError(f"loss {config.loss.kind!r} needs a teacher, but these materials have none.")
        if use_teacher and self.teacher is not None and self.live_teacher is None and not self.teacher.num_views:
            raise CacheError(f"{self.teacher.folder}: the teacher's logits are missing; start again.")
        batches = Batches(
            self.views,
            self.labels,
            self.teacher if use_teacher else None,
            config.optim.batch_size,
            seed,
            passes=config.data.passes,
            shard=shard,
            features=self._features(config, teacher_layers),
        )
        if use_teacher or UNLABELLED not in self.labels:
            return batches
        return self._labelled_batches(config, seed, shard, batches.samples_per_epoch)

    def _labelled_batches(self, config: Config, seed: int, shard: Shard, samples_per_epoch: int) -> Batches:
        """Labelled samples only, in as many passes as give about `samples_per_epoch`; partial batches are dropped."""
        rows = (self.labels != UNLABELLED).nonzero().flatten()
        views = self.views.over(rows)

        def batches(passes: int) -> Batches:
            return Batches(views, self.labels[rows], None, config.optim.batch_size, seed, passes=passes, shard=shard)

        return batches(max(1, round(samples_per_epoch / batches(passes=1).samples_per_epoch)))

    def _features(self, config: Config, layers: Sequence[str]) -> TeacherFeatures | None:
        if not layers or self.live_teacher is not None:
            return None
        assert self.teacher_folder is not None, "prepared with a teacher"
        return TeacherFeatures(self.teacher_folder, config, layers, self.labels.device, self.sources)

    def build_student(self, config: Config) -> nn.Module:
        """The configured student for this data, newly initialised from torch's global generator."""
        return student_on(Student.of(config.student), self.dataset)


def _seed_of_views(config: Config, is_teacher: bool) -> int:
    """The seed of the views: the same for all students, another for teachers and all of their generations."""
    return seed_of(config.data.seed, config.search.seed, "teacher") if is_teacher else config.data.seed


def _outputs(prepared: Prepared, config: Config, device: torch.device | str) -> Outputs | None:
    """The teacher's outputs; with several teachers, those that this run uses, mixed as configured."""
    folder, sources = prepared.teacher_folder, prepared.sources
    if prepared.member_folders:
        mix = mix_of(config)
        folders = {name: outputs_folder(prepared.member_folders[name], config, sources) for name in mix.weights}
        return MixedOutputs({name: teacher_outputs(folder, device) for name, folder in folders.items()}, mix)
    return None if folder is None else teacher_outputs(outputs_folder(folder, config, sources), device)


def mix_of(config: Config) -> Mix:
    """How this run mixes several teachers."""
    mix = Teacher.of(config.teacher).mix()
    assert isinstance(mix, Mix), "several were prepared"
    return mix


def _live(prepared: Prepared, config: Config, device: torch.device | str) -> nn.Module | None:
    network: nn.Module | None = prepared.live_teacher
    if isinstance(network, MixedNetwork):
        network = network.mixed(mix_of(config))
    return None if network is None else network.to(device)


@lru_cache(maxsize=16)
def _corrupted(data_folder: Path, device: str) -> tuple[Tensor, Tensor]:
    """Made once per process (and fold) for all of its trials."""
    dataset = open_dataset(data_folder)
    validation = dataset.split("validation")
    inputs, labels = dealt_out(validation.inputs, validation.labels, layout=dataset.layout)
    where = home_of(inputs.nbytes, dataset.is_image, torch.device(device))
    return torch.from_numpy(inputs).to(where), torch.from_numpy(labels).to(device)
