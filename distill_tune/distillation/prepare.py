"""Preparing a search or a training: data once, teacher once, the teacher's outputs once for each augmentation.

Everything is kept in folders named after what it depends on, checked by checksum when it is found again, and rebuilt
when it is damaged.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from distill_tune.arrays import read_arrays
from distill_tune.config import Config, Space
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice
from distill_tune.config.sections import TeacherConfig
from distill_tune.config.space import USE
from distill_tune.data import Dataset, prepare_data
from distill_tune.distillation.anatomy import anatomy_of
from distill_tune.distillation.cache_size import CacheSize
from distill_tune.distillation.feature_cache import ANATOMY, announce_features, write_features
from distill_tune.distillation.feature_checks import check_feature_losses, feature_losses, teacher_layers
from distill_tune.distillation.initialisation import Shapes, check_beginnings, check_teachers_weights
from distill_tune.distillation.prepared import Prepared
from distill_tune.distillation.teacher_cache import outputs_are_whole, outputs_folder, write_outputs
from distill_tune.distillation.teacher_training import device_for, train_teacher
from distill_tune.distillation.teacher_weights import refuse_without_network, write_weights
from distill_tune.distillation.views import check_augmentation
from distill_tune.errors import ConfigError
from distill_tune.teachers import LoadedTeacher, Pupils, Teacher, Workshop
from distill_tune.teachers._mixing import MixedNetwork

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
        _say_how_good([outputs], [dataset], say)
        return whole
    numbers = range(config.data.folds)
    parts = [_prepare(space, variants, cache, _of_fold(say, n), prepare_data(config.data, cache, n)) for n in numbers]
    _say_how_good([outputs for _, outputs in parts], [part.dataset for part, _ in parts], say)
    return replace(whole, prepared=replace(whole.prepared, folds=tuple(part.prepared for part, _ in parts)))


def _say_how_good(outputs: Sequence[dict[str, Path]], datasets: Sequence[Dataset], say: Say) -> None:
    for name in outputs[0]:
        say(how_good_the_teacher_is([each[name] for each in outputs], datasets, f"teacher {name}".rstrip()))


def _of_fold(say: Say, number: int) -> Say:
    return lambda line: say(f"fold {number + 1}: {line}")


def _prepare(
    space: Space, variants: list[Config], cache: Path, say: Say, dataset: Dataset
) -> tuple[Preparation, dict[str, Path]]:
    """One split's teacher and its outputs, and where each member's without a choice of augmentation are."""
    config = space.config
    for variant in variants:
        check_augmentation(variant.augmentation, dataset)
    check_students(space, dataset)
    source: Teacher = config.teacher.chosen("source")
    members = members_to_prepare(space)
    sections = members or {"": config.teacher}
    folders = {name: _teacher_folder(section, dataset, cache) for name, section in sections.items()}
    _announce_cache(list(folders.values()), variants, dataset, cache, say)
    ready = {
        name: _ready_member(name, section, folders[name], space, variants, dataset, say)
        for name, section in sections.items()
    }
    teacher = together(ready, source) if members else ready[""]
    prepared = Prepared(dataset.folder, folders.get(""), _if_live(config, teacher), folders if members else {})
    outputs = {name: outputs_folder(folder, variants[0]) for name, folder in folders.items()}
    return Preparation(prepared, dataset, teacher), outputs


def _announce_cache(folders: list[Path], variants: list[Config], dataset: Dataset, cache: Path, say: Say) -> None:
    """Say how large what all teachers together have yet to label will be, if there is room for it."""
    new = [each for folder in folders for each in variants if not outputs_folder(folder, each).exists()]
    if new and new[0].teacher.mode == "cached":
        CacheSize.of(new, dataset).announce(cache, say)


def _ready_member(
    name: str, member: TeacherConfig, folder: Path, space: Space, variants: list[Config], dataset: Dataset, say: Say
) -> LoadedTeacher:
    """Make one teacher ready, the only one or the member called `name`, and run it."""
    config = space.config
    teacher = _ready_teacher(member, config, dataset, folder, say)
    if teacher.module is None:
        _check_logits_suffice(variants)
        refuse_without_network(space)
    elif not name:
        check_teachers_weights(space, Shapes(dataset.input_shape, len(dataset.classes)), teacher.module)
        write_weights(folder, space, teacher.module)
    layers = _layers_to_compare(folder, space, variants, dataset, teacher, say)
    with _on(device_for(config), teacher.module):
        for variant in variants:
            _label(outputs_folder(folder, variant), variant, dataset, teacher, say)
            write_features(folder, variant, dataset, teacher, layers, say)
    return teacher


@contextmanager
def _on(device: str, network: nn.Module | None) -> Iterator[None]:
    """Runs a network on a device for a while; afterwards the memory there belongs to the trials."""
    if network is None or device == "cpu":
        yield
        return
    network.to(device)
    try:
        yield
    finally:
        network.cpu()
        torch.cuda.empty_cache()


def members_to_prepare(space: Space) -> dict[str, TeacherConfig]:
    """Of several teachers, those that may take part in a training: all, where who does is searched."""
    source: Teacher = space.config.teacher.chosen("source")
    mix, members = source.mix(), source.member_configs()
    if mix is None or USE in space.ranges:
        return members
    return {name: members[name] for name in mix.weights}


def together(members: dict[str, LoadedTeacher], source: Teacher) -> LoadedTeacher:
    """Several teachers as one, mixed as `source` says."""
    mix = source.mix()
    assert mix is not None, "several are mixed"
    networks = {name: teacher.module for name, teacher in members.items() if teacher.module is not None}
    module = MixedNetwork(networks, mix) if len(networks) == len(members) else None
    return LoadedTeacher(parameters=0, module=module, members=members).mixed(mix)


def _if_live(config: Config, teacher: LoadedTeacher) -> nn.Module | None:
    return teacher.module if config.teacher.mode == "live" else None


def check_students(space: Space, dataset: Dataset) -> None:
    """Look at what the students of a space ask of their teacher, before it is made ready.

    Raises:
        ConfigError: no such teacher can give it.
    """
    source: Teacher = space.config.teacher.chosen("source")
    if not source.has_network or source.member_configs():
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


def how_good_the_teacher_is(outputs: Sequence[Path], datasets: Sequence[Dataset], name: str) -> str:
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
    line = f"{name}: val/accuracy {accuracy:.4f}"
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


def _teacher_folder(section: TeacherConfig, dataset: Dataset, cache: Path) -> Path:
    """The folder of the teacher of a section, named after its identity."""
    source: Teacher = section.chosen("source")
    identity = f"{section.source} {source.identity(section, pupils_of(dataset))} {dataset.fingerprint}"
    return cache / f"teacher-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _ready_teacher(section: TeacherConfig, config: Config, dataset: Dataset, folder: Path, say: Say) -> LoadedTeacher:
    source: Teacher = section.chosen("source")
    workshop = Workshop(folder, lambda recipe: train_teacher(recipe, config, dataset, say), say)
    return source.load(section, pupils_of(dataset), workshop)


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
