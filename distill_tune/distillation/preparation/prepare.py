"""Prepare a search or a training: the data and the teacher once, the teacher's outputs once per augmentation.

Everything is kept in folders named after what it depends on, verified by checksum when it is reused, and rebuilt if it
is damaged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from distill_tune.config import Config, Space
from distill_tune.config.messages import dotted
from distill_tune.config.sections import AugmentationConfig, TeacherConfig
from distill_tune.data import Dataset, prepare_data
from distill_tune.distillation.cache.folders import outputs_folder, own_sources
from distill_tune.distillation.cache.size import CacheSize
from distill_tune.distillation.cache.weights import refuse_without_weights
from distill_tune.distillation.devices import devices_to_try_on
from distill_tune.distillation.initialisation import Shapes, check_beginnings
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.preparation.feature_checks import check_feature_losses
from distill_tune.distillation.preparation.how_good import HowGood, say_how_good
from distill_tune.distillation.preparation.loss_checks import check_losses
from distill_tune.distillation.preparation.optimizer_checks import check_optimizers
from distill_tune.distillation.preparation.ready_teachers import (
    ready_member,
    teacher_folders,
    teachers_to_prepare,
    together,
    twins_in_words,
)
from distill_tune.distillation.preparation.single_samples import check_single_samples, check_single_samples_of_teachers
from distill_tune.distillation.preparation.student_checks import (
    check_own_beginnings,
    check_own_students,
    check_weights_suffice,
)
from distill_tune.distillation.preparation.teacher_work import TeacherWork
from distill_tune.distillation.preparation.users_keys import said_of_member, said_of_the_teacher, table_of
from distill_tune.distillation.preparation.variants import augmentation_variants, check_logits_suffice
from distill_tune.distillation.views import check_augmentation
from distill_tune.errors import ConfigError, TeacherError
from distill_tune.students import Student, empty_network
from distill_tune.teachers import LoadedTeacher, Say, Teacher, unread_keys


@dataclass(frozen=True)
class Preparation:
    """What the driver knows after preparing; workers get only `prepared`."""

    prepared: Prepared
    dataset: Dataset
    teacher: LoadedTeacher
    on_validation: dict[str, HowGood] = field(default_factory=dict)
    """How good each teacher is, by its name; that of an only teacher is ""."""


def prepare(
    space: Space, cache: Path, say: Say, dataset: Dataset | None = None, work: TeacherWork | None = None
) -> Preparation:
    """Prepare data, teacher and teacher outputs under `cache`, for every augmentation that the space can choose.

    Args:
        space: the run or search space.
        cache: the folder in which everything is kept.
        say: reports a line to the user.
        dataset: the result of `announced_data`, if it has been called already.
        work: trains the teacher and runs it over its views; by default in this process.

    Raises:
        InputError: the data or the teacher cannot be used; only complete parts are left in `cache`.
    """
    config, variants, work = space.config, list(augmentation_variants(space)), work or TeacherWork()
    dataset = dataset or announced_data(config, cache, say)
    whole, outputs = _prepare(space, variants, cache, say, dataset, work)
    check_own_beginnings(space, whole.prepared)
    if config.data.folds is None:
        return replace(whole, on_validation=say_how_good(space, [outputs], [dataset], say))
    parts = [_prepare_fold(space, variants, cache, say, number, work) for number in range(config.data.folds)]
    prepared, outputs_of, datasets = zip(*parts, strict=True)
    found = say_how_good(space, outputs_of, datasets, say)
    return replace(whole, prepared=replace(whole.prepared, folds=prepared), on_validation=found)


def _prepare_fold(
    space: Space, variants: list[Config], cache: Path, say: Say, number: int, work: TeacherWork
) -> tuple[Prepared, dict[str, Path], Dataset]:
    """As `_prepare` for one fold, but without its loaded teacher, which is no longer needed."""
    dataset = prepare_data(space.config.data, cache, number)
    part, outputs = _prepare(space, variants, cache, _of_fold(say, number), dataset, work)
    return part.prepared, outputs, dataset


def _of_fold(say: Say, number: int) -> Say:
    return lambda line: say(f"fold {number + 1}: {line}")


def _prepare(
    space: Space, variants: list[Config], cache: Path, say: Say, dataset: Dataset, work: TeacherWork
) -> tuple[Preparation, dict[str, Path]]:
    """Prepare one split; also return each teacher's folder of outputs for the first of `variants`, by name."""
    config = space.config
    check_students(space, dataset)
    source = Teacher.of(config.teacher)
    sections = teachers_to_prepare(space)
    are_several = "" not in sections
    folders = teacher_folders(space, dataset, cache)
    for warning in twins_in_words(folders) if dataset.fold is None else []:
        say(warning)
    _announce_cache(list(folders.values()), variants, dataset, cache, say)
    ready = {
        name: ready_member(name, section, folders[name], space, variants, dataset, say, work)
        for name, section in _loaded_first(sections)
    }
    teachers = {name: ready[name][0] for name in sections}
    teacher = together(teachers, source) if are_several else teachers[""]
    prepared = Prepared(
        dataset.folder,
        folders.get(""),
        _if_live(config, teacher),
        folders if are_several else {},
        used=frozenset().union(*(used for _, used in ready.values())),
        sources=own_sources(variants),
    )
    outputs = {name: outputs_folder(folder, variants[0]) for name, folder in folders.items()}
    return Preparation(prepared, dataset, teacher), outputs


def _loaded_first(sections: dict[str, TeacherConfig]) -> list[tuple[str, TeacherConfig]]:
    """The teachers by name, those that are trained here last: others may still be refused, and training takes long."""
    return sorted(sections.items(), key=lambda named: Teacher.of(named[1]).trains_here)


def _announce_cache(folders: list[Path], variants: list[Config], dataset: Dataset, cache: Path, say: Say) -> None:
    """Report the size of what all teachers together have yet to label, if there is room for it."""
    new = [each for folder in folders for each in variants if not outputs_folder(folder, each).exists()]
    if new and new[0].teacher.mode == "cached":
        CacheSize.of(new, dataset).announce(cache, say)


def _if_live(config: Config, teacher: LoadedTeacher) -> nn.Module | None:
    return teacher.module if config.teacher.mode == "live" else None


def check_students(space: Space, dataset: Dataset) -> None:
    """Check the students of a space, and what they need of their teacher, before it is prepared.

    Raises:
        ConfigError: a student cannot be trained, or no such teacher can provide what it needs.
        TeacherError: the teacher itself cannot be trained this way.
    """
    _check_views(space, dataset)
    source = Teacher.of(space.config.teacher)
    if not (source.has_network and source.has_layers) or source.member_configs():
        refuse_without_weights(space)
    _check_teachers(space, dataset)
    check_beginnings(space, Shapes.of(dataset))
    check_losses(space, dataset)
    check_own_students(space, dataset)
    check_optimizers(space, dataset)
    check_single_samples(space, dataset)
    check_single_samples_of_teachers(space, dataset)
    check_feature_losses(space, dataset)


def _check_views(space: Space, dataset: Dataset) -> None:
    """Refuse an augmentation that does not suit the data, or that a teacher with only logits cannot label."""
    variants = list(augmentation_variants(space))
    for variant in variants:
        check_augmentation(variant.augmentation, dataset, devices_to_try_on(variant))
    for name, section in teachers_to_prepare(space).items():
        if not Teacher.of(section).has_network:
            key = f"{table_of(name)}.source" if name else "source"
            check_logits_suffice(variants, f"{key} = {section.source!r}")


def _check_teachers(space: Space, dataset: Dataset) -> None:
    """Refuse a teacher that is trained here if its family or its augmentation does not suit the data."""
    teacher = space.config.teacher
    for name, section in {"": teacher, **Teacher.of(teacher).member_configs()}.items():
        if Teacher.of(section).trains_here:
            with said_of_member(name):
                _check_trained_here(section, dataset)


def _check_trained_here(section: TeacherConfig, dataset: Dataset) -> None:
    if section.family is not None:
        with said_of_the_teacher():
            empty_network(Student.of(section), dataset.input_shape, len(dataset.classes))
            if ":" in section.family:
                check_weights_suffice(section.family, Student.of(section), dataset)
    try:
        check_augmentation(AugmentationConfig(**getattr(Teacher.of(section), "augmentation", {})), dataset)
    except ConfigError as error:
        raise TeacherError(f"{dotted(('teacher', section.source))}.{error}") from error


def announced_data(config: Config, cache: Path, say: Say) -> Dataset:
    """Prepare the data, and each fold's; report what was done to them, and which keys of the teacher are not used.

    Raises:
        InputError: the data cannot be used.
    """
    dataset = prepare_data(config.data, cache)
    for number in range(config.data.folds or 0):  # refuse a fold before a teacher is trained
        check_fold(config, dataset, number, prepare_data(config.data, cache, number).input_shape)
    say(f"{dealt_out(dataset)}, of shape {dataset.input_shape}, {len(dataset.classes)} classes")
    for note in (*dataset.notes, *unread_keys(config.teacher)):
        say(note)
    return dataset


def check_fold(config: Config, dataset: Dataset, number: int, shape: tuple[int, ...]) -> None:
    """Refuse a fold of a table that lacks features if a network that is not trained here reads those of all rows.

    Raises:
        TeacherError: `shape`, of a row without fold `number`, differs from that of the whole data.
    """
    sections = list(Teacher.of(config.teacher).member_configs().values()) or [config.teacher]
    loaded = [s.source for s in sections if Teacher.of(s).has_network and not Teacher.of(s).trains_here]
    if loaded and shape != dataset.input_shape:
        raise TeacherError(
            f"teacher.source: {loaded[0]!r} reads {dataset.input_shape[0]} features, but without fold {number + 1} of "
            f"data.folds = {dataset.folds} there are {shape[0]}, since a value or a gap is nowhere else; leave its "
            "column out, take fewer folds, or give the teacher's outputs as logits."
        )


def dealt_out(dataset: Dataset) -> str:
    """A message with the number of samples in each split."""
    rows = dataset.num_rows
    if dataset.folds is not None:
        return f"{rows['train']:,} samples in {dataset.folds} folds, {rows['test']:,} to test"
    told = "/".join(f"{count:,}" for count in rows.values()) + " samples to train, validate and test"
    labelled = int(dataset.split("train").labelled.sum())
    return told if labelled == rows["train"] else f"{told} (of the first a student sees {labelled:,} labels)"
