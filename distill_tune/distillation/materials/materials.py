"""What a training needs beside its configuration, as a worker opens it: data, views, the teacher's outputs or itself.

`Prepared` is a small reference that travels to workers; `Materials` maps the files. Opening takes milliseconds, so a
worker does it for each trial, and what two trials map is in memory once.
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
    """int64 [visible training samples]; UNLABELLED where the student may not know."""
    validation_inputs: Tensor
    validation_labels: Tensor
    teacher: Outputs | None
    live_teacher: nn.Module | None
    train_inputs: Tensor
    """[visible training samples, *input_shape], unaugmented."""
    teacher_weights: TeacherWeights | None = None
    """Where the teacher's weights are, if something of the space asks for them."""
    corrupted: tuple[Tensor, Tensor] | None = None
    """Worsened validation samples and their labels, where the search is about them (`evaluation/corrupted.py`)."""
    teacher_folder: Path | None = None
    """Where everything of the teacher is."""
    sources: Mapping[str, str] | None = None
    """As those of `Prepared`."""
    shared: Opened | None = None
    """What others that are open have too, as long as one of them holds it."""

    @classmethod
    def open(
        cls, prepared: Prepared, config: Config, device: torch.device | str = "cpu", see_all: bool = False
    ) -> Materials:
        """Map the files, or on a GPU copy them there, once for all trainings of the process that are open at a time.

        `see_all` is for teachers, who see every label, and views of their own: what they then say of the student's
        views they have not learned by heart.
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
        """The layers that the teacher has.

        Raises:
            CacheError: prepared for a space in which no loss compares features.
        """
        assert self.teacher_folder is not None, "prepared with a teacher"
        return Anatomy.read(self.teacher_folder / ANATOMY)

    def batches(
        self, config: Config, seed: int, shard: Shard, use_teacher: bool, teacher_layers: Sequence[str] = ()
    ) -> Batches:
        """The epochs of a training with this configuration.

        Without the teacher, samples without a label say nothing: the student then sees the others alone, so often that
        an epoch is about as long.

        Args:
            config: of the training.
            seed: of the order of the samples.
            shard: this worker's part.
            use_teacher: whether its loss looks at the teacher.
            teacher_layers: whose features its loss compares; they are replayed unless the teacher runs live.

        Raises:
            ValueError: they were opened without a teacher.
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
        """In as many passes as show about so many samples: what fills no batch is left out of each pass."""
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
    """All students see the same views; a teacher, and each of its generations, has others."""
    return seed_of(config.data.seed, config.search.seed, "teacher") if is_teacher else config.data.seed


def _outputs(prepared: Prepared, config: Config, device: torch.device | str) -> Outputs | None:
    """The teacher's outputs; of several, of those that take part in this run, mixed as it says."""
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
    """Made once a process (and fold), for all of its trials."""
    dataset = open_dataset(data_folder)
    validation = dataset.split("validation")
    inputs, labels = dealt_out(validation.inputs, validation.labels, layout=dataset.layout)
    where = home_of(inputs.nbytes, dataset.is_image, torch.device(device))
    return torch.from_numpy(inputs).to(where), torch.from_numpy(labels).to(device)
