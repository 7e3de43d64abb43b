"""Preparing a search or a training: data once, teacher once, the teacher's outputs once for each augmentation.

Everything is kept in folders named after what it depends on, checked by checksum when it is found again, and rebuilt
when it is damaged.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill_tune.arrays import read_arrays
from distill_tune.config import Config, Space
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice
from distill_tune.data import Dataset, prepare_data
from distill_tune.distillation.anatomy import anatomy_of
from distill_tune.distillation.cache_size import CacheSize
from distill_tune.distillation.feature_cache import ANATOMY, announce_features, write_features
from distill_tune.distillation.feature_checks import check_feature_losses, feature_losses, teacher_layers
from distill_tune.distillation.initialisation import Shapes, check_beginnings
from distill_tune.distillation.prepared import Prepared
from distill_tune.distillation.teacher_cache import outputs_are_whole, outputs_folder, write_outputs
from distill_tune.distillation.teacher_training import train_teacher
from distill_tune.distillation.teacher_weights import refuse_without_network, write_weights
from distill_tune.distillation.views import check_augmentation
from distill_tune.errors import ConfigError
from distill_tune.teachers import LoadedTeacher, Pupils, Teacher, Workshop

Say = Callable[[str], None]


@dataclass(frozen=True)
class Preparation:
    """What the driver knows after preparing; workers get `prepared` alone."""

    prepared: Prepared
    dataset: Dataset
    teacher: LoadedTeacher


def prepare(space: Space, cache: Path, say: Say, dataset: Dataset | None = None) -> Preparation:
    """Make data, teacher and teacher outputs ready under `cache`, for every augmentation that the space can choose.

    Args:
        space: the run or search space.
        cache: where it is kept.
        say: tells the user something in a line.
        dataset: what `announced_data` gave, where that was needed before.

    Raises:
        InputError: the data or the teacher cannot be used; nothing but finished parts is left in `cache`.
    """
    config, variants = space.config, list(augmentation_variants(space))
    dataset = dataset or announced_data(config, cache, say)
    whole, outputs = _prepare(space, variants, cache, say, dataset)
    if config.data.folds is None:
        say(how_good_the_teacher_is([outputs], [dataset]))
        return whole
    numbers = range(config.data.folds)
    parts = [_prepare(space, variants, cache, _of_fold(say, n), prepare_data(config.data, cache, n)) for n in numbers]
    say(how_good_the_teacher_is([outputs for _, outputs in parts], [part.dataset for part, _ in parts]))
    return replace(whole, prepared=replace(whole.prepared, folds=tuple(part.prepared for part, _ in parts)))


def _of_fold(say: Say, number: int) -> Say:
    return lambda line: say(f"fold {number + 1}: {line}")


def _prepare(space: Space, variants: list[Config], cache: Path, say: Say, dataset: Dataset) -> tuple[Preparation, Path]:
    """One split's teacher and its outputs, and where those without a choice of augmentation are."""
    config = space.config
    for variant in variants:
        check_augmentation(variant.augmentation, dataset)
    check_students(space, dataset)
    folder = _teacher_folder(config, dataset, cache)
    new = [variant for variant in variants if not outputs_folder(folder, variant).exists()]
    if new and config.teacher.mode == "cached":
        CacheSize.of(new, dataset).announce(cache, say)
    teacher = _ready_teacher(config, dataset, folder, say)
    if teacher.module is None:
        _check_logits_suffice(variants)
        refuse_without_network(space)
    else:
        write_weights(folder, space, dataset, teacher.module)
    layers = _layers_to_compare(folder, space, variants, dataset, teacher, say)
    for variant in variants:
        _label(outputs_folder(folder, variant), variant, dataset, teacher, say)
        write_features(folder, variant, dataset, teacher, layers, say)
    live = teacher.module if config.teacher.mode == "live" else None
    return Preparation(Prepared(dataset.folder, folder, live), dataset, teacher), outputs_folder(folder, variants[0])


def check_students(space: Space, dataset: Dataset) -> None:
    """Look at what the students of a space ask of their teacher, before it is made ready.

    Raises:
        ConfigError: no such teacher can give it.
    """
    if not space.config.teacher.chosen("source").has_network:
        refuse_without_network(space)
    check_beginnings(space, Shapes(dataset.input_shape, len(dataset.classes)))
    check_feature_losses(space, dataset)


def _layers_to_compare(
    folder: Path, space: Space, variants: list[Config], dataset: Dataset, teacher: LoadedTeacher, say: Say
) -> list[str]:
    """The teacher's layers that losses of the space compare with; what it has is left for the workers."""
    if not feature_losses(space):
        return []
    assert teacher.module is not None, "checked before"
    anatomy = anatomy_of(teacher.module, dataset.input_shape)
    layers = teacher_layers(space, dataset, anatomy)
    announce_features(folder, variants, dataset, anatomy, layers, say)
    anatomy.write(folder / ANATOMY)
    return layers


def how_good_the_teacher_is(outputs: Sequence[Path], datasets: Sequence[Dataset]) -> str:
    """The teacher's validation accuracy in a line, with a warning where it knows no more than the commonest class.

    With folds there is a teacher for each, and all of their validation samples count together.

    A teacher whose classes are in another order, or whose weights are not the trained ones, labels everything wrong and
    raises nothing; a search with it would end in a verdict all the same.
    """
    dataset = datasets[0]
    labels = np.concatenate([each.split("validation").labels for each in datasets])
    chosen = np.concatenate([read_arrays(each / "validation.arrow")["logits"].argmax(1) for each in outputs])
    accuracy = float((chosen == labels).mean())
    commonest = np.bincount(labels).max() / len(labels)
    line = f"teacher: val/accuracy {accuracy:.4f}"
    if accuracy > commonest:
        return line
    return (
        f"warning: {line}, no better than always the commonest class ({commonest:.4f}); check its weights, its inputs, "
        f"and the order of its classes ({', '.join(dataset.classes[:5])}{', ...' if len(dataset.classes) > 5 else ''})"
    )


def announced_data(config: Config, cache: Path, say: Say) -> Dataset:
    """The prepared data; what was done to them has been said.

    Raises:
        InputError: the data cannot be used.
    """
    dataset = prepare_data(config.data, cache)
    say(f"{_dealt_out(dataset)}, of shape {dataset.input_shape}, {len(dataset.classes)} classes")
    for note in dataset.notes:
        say(note)
    return dataset


def _dealt_out(dataset: Dataset) -> str:
    rows = dataset.num_rows
    if dataset.folds is not None:
        return f"{rows['train']:,} samples in {dataset.folds} folds, {rows['test']:,} to test"
    return "/".join(f"{count:,}" for count in rows.values()) + " samples to train, validate and test"


def _check_logits_suffice(variants: list[Config]) -> None:
    if variants[0].teacher.mode == "live":
        raise ConfigError(
            "teacher.mode: 'live' needs a teacher that can run, but source = 'logits' has only logits; use 'cached'."
        )
    for variant in variants:
        for name, amount in variant.augmentation.amounts.items():
            if amount:
                raise ConfigError(
                    f"augmentation.{name}: the teacher must label what the student sees, but source = 'logits' has "
                    f"logits of the samples as they are; set it to 0, or name a teacher that can run."
                )


def augmentation_variants(space: Space) -> Iterator[Config]:
    """One configuration for each combination of the augmentation's choices.

    Raises:
        ConfigError: an augmentation is a continuous range, so its views cannot be labelled beforehand.
    """
    ranges = {path: found for path, found in space.ranges.items() if path[0] == "augmentation"}
    live = space.config.teacher.mode == "live"
    for path, found in ranges.items():
        if not isinstance(found, Choice) and not live:
            raise ConfigError(
                f"{dotted(path)}: must be a value or {{ choice = [...] }} where the teacher's outputs are cached, "
                "since each amount is labelled once; or set teacher.mode = 'live'."
            )
    names = [dotted(path) for path in ranges]
    for values in itertools.product(*(found.corners() for found in ranges.values())):
        yield space.at(dict(zip(names, values, strict=True)))


def _teacher_folder(config: Config, dataset: Dataset, cache: Path) -> Path:
    """The teacher's folder, named after its identity."""
    source: Teacher = config.teacher.chosen("source")
    identity = f"{config.teacher.source} {source.identity(config.teacher, pupils_of(dataset))} {dataset.fingerprint}"
    return cache / f"teacher-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _ready_teacher(config: Config, dataset: Dataset, folder: Path, say: Say) -> LoadedTeacher:
    source: Teacher = config.teacher.chosen("source")
    workshop = Workshop(folder, lambda recipe: train_teacher(recipe, config, dataset, say), say)
    return source.load(config.teacher, pupils_of(dataset), workshop)


def pupils_of(dataset: Dataset) -> Pupils:
    """What the teacher must fit."""
    return Pupils(
        dataset.classes,
        dataset.input_shape,
        dataset.mean,
        dataset.std,
        dataset.fingerprint,
        dataset.num_source_rows,
    )


def _label(folder: Path, config: Config, dataset: Dataset, teacher: LoadedTeacher, say: Say) -> None:
    if outputs_are_whole(folder):
        return
    if folder.exists():
        say(f"the cached teacher outputs in {folder.name} do not match their checksums; they are made again")
    write_outputs(folder, config, dataset, teacher, say)
