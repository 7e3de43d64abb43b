"""Prepare a teacher: load or train it, run it over every view that a student may see, and check layers to compare.

Several teachers are prepared and cached separately; a trial mixes their outputs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from distill_tune.atomic import folder_for
from distill_tune.config import Config, Space
from distill_tune.config.presence import USE
from distill_tune.config.sections import TeacherConfig
from distill_tune.data import Dataset
from distill_tune.distillation.cache.features import (
    ANATOMY,
    announce_features,
    features_folder,
)
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.weights import leave_weights
from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.initialisation import Shapes, check_teachers_weights
from distill_tune.distillation.preparation.feature_checks import feature_losses, layers_compared
from distill_tune.distillation.preparation.running_teachers import run_teacher
from distill_tune.distillation.preparation.teacher_training import Recipe
from distill_tune.distillation.preparation.teacher_work import TeacherWork
from distill_tune.distillation.preparation.users_keys import said_of_member, say_of_member
from distill_tune.errors import TeacherError, one_line
from distill_tune.evaluation.mode import put_in_evaluation
from distill_tune.teachers import DataSpec, LoadedTeacher, Say, Teacher, TeacherContext, Trained
from distill_tune.teachers.kept_rows import KeptRows
from distill_tune.teachers.logits_table import checked_logits
from distill_tune.teachers.mixing import MixedNetwork
from distill_tune.teachers.trial_run import try_two


def ready_member(
    name: str,
    member: TeacherConfig,
    folder: Path,
    space: Space,
    variants: list[Config],
    dataset: Dataset,
    say: Say,
    work: TeacherWork,
) -> tuple[LoadedTeacher, set[str]]:
    """Prepare one teacher, the only one or the member called `name`, and run it.

    Returns:
        The teacher, and the names of the folders with its outputs for this space.
    """
    config, say = space.config, say_of_member(name, say)
    kept = folder_for(folder / "what is kept there")  # a custom source may write to it before we do
    with kept, said_of_member(name):
        teacher = _ready_teacher(member, config, dataset, folder, say, work.of_source(member.source))
        if teacher.module is not None and not name:
            check_teachers_weights(space, Shapes.of(dataset), teacher.module)
            leave_weights(folder, space, teacher.module)
        layers = _layers_to_compare(folder, space, variants, dataset, teacher, say)
        apart = {outputs_folder(folder, variant): variant for variant in variants}  # a live teacher has one for all
        run_teacher(folder, apart, layers, config, dataset, teacher, say, work)
    used = {path.name for v in apart.values() for path in (features_folder(folder, v, layer) for layer in layers)}
    return _without_what_is_cached(teacher, dataset), used | {where.name for where in apart}


def _without_what_is_cached(teacher: LoadedTeacher, dataset: Dataset) -> LoadedTeacher:
    """Drop the cached training rows of a logits table, which can be gigabytes, held until the search ends."""
    if not isinstance(teacher.table, np.ndarray):
        return teacher
    is_cached = np.zeros(dataset.num_source_rows, dtype=bool)
    is_cached[dataset.split("train").index] = True
    return replace(teacher, table=KeptRows.of(teacher.table, np.flatnonzero(~is_cached)))


class _Untrained(Exception):
    """Raised for a teacher that would have to be trained, with its recipe."""

    def __init__(self, recipe: Recipe):
        super().__init__("it would have to be trained")
        self.recipe = recipe


def try_to_load(space: Space, dataset: Dataset, folder: Path, say: Say) -> dict[str, LoadedTeacher | Recipe]:
    """Load every teacher that need not be trained, so that a dry run refuses what a search would refuse.

    Args:
        space: the space with the teacher or teachers.
        dataset: the data that they are to label.
        folder: a temporary one, without cached teachers.
        say: reports what a teacher says of itself, such as the order of its classes.

    Returns:
        The teacher, or the recipe for training it, by its name; that of an only teacher is "".

    Raises:
        TeacherError: a teacher cannot be loaded, or does not fit the data.
        ConfigError: a student cannot begin with its weights, or cannot be compared with its features.
    """

    def refuse_to_train(recipe: Recipe) -> Trained:
        raise _Untrained(recipe)

    found: dict[str, LoadedTeacher | Recipe] = {}
    for name, section in teachers_to_prepare(space).items():
        context = TeacherContext(folder, refuse_to_train, say_of_member(name, say))
        try:
            with said_of_member(name):
                Teacher.of(section).identity(section, data_spec_of(dataset))
                found[name] = teacher = _loaded(section, dataset, context)
        except _Untrained as untrained:
            found[name] = untrained.recipe
            continue
        if not name and teacher.module is not None:
            check_teachers_weights(space, Shapes.of(dataset), teacher.module)
            if feature_losses(space):
                layers_compared(space, dataset, anatomy_of(teacher.module, dataset.input_shape))
    return found


def _layers_to_compare(
    folder: Path, space: Space, variants: list[Config], dataset: Dataset, teacher: LoadedTeacher, say: Say
) -> list[str]:
    """The teacher's layers that losses of the space compare with; its anatomy is written for the workers."""
    if not feature_losses(space):
        return []
    assert teacher.module is not None, "checked before"
    anatomy = anatomy_of(teacher.module, dataset.input_shape)
    layers = layers_compared(space, dataset, anatomy)
    announce_features(folder, variants, dataset, anatomy, layers, say)
    anatomy.write(folder / ANATOMY)
    return layers


def teachers_to_prepare(space: Space) -> dict[str, TeacherConfig]:
    """Teachers that may take part in a training, by name: all if that choice is searched; an only one is called ""."""
    source = Teacher.of(space.config.teacher)
    mix, members = source.mix(), source.member_configs()
    if mix is None:
        return {"": space.config.teacher}
    return members if USE in space.ranges else {name: members[name] for name in mix.weights}


def together(members: dict[str, LoadedTeacher], source: Teacher) -> LoadedTeacher:
    """Several teachers as one, mixed as `source` says."""
    mix = source.mix()
    assert mix is not None, "several are mixed"
    networks = {name: teacher.module for name, teacher in members.items() if teacher.module is not None}
    module = MixedNetwork(networks, mix) if len(networks) == len(members) else None
    return LoadedTeacher(parameters=0, module=module, members=members).mixed(mix)


def teacher_folders(space: Space, dataset: Dataset, cache: Path) -> dict[str, Path]:
    """Each teacher's name, "" for an only one, to its folder, which is named after its identity."""
    found = {}
    for name, each in teachers_to_prepare(space).items():
        with said_of_member(name):
            found[name] = cache / _folder_name(each, dataset)
    return found


def twins_in_words(folders: dict[str, Path]) -> list[str]:
    """A warning for each member that is the same teacher as another under a different file name.

    Identically configured members have been refused already (`teachers/sources/ensemble.py`).
    """
    first = {folder: name for name, folder in reversed(folders.items())}
    return [
        f"warning: teacher.ensemble.members: {first[folder]!r} and {name!r} are the same teacher, whose word counts "
        "twice in a mix of them; leave one out, or give it another file (a share is what teacher.ensemble.weights says)"
        for name, folder in folders.items()
        if name != first[folder]
    ]


def _folder_name(section: TeacherConfig, dataset: Dataset) -> str:
    own = Teacher.of(section).identity(section, data_spec_of(dataset))
    identity = f"{section.source} {own} {dataset.fingerprint}"
    return f"teacher-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _ready_teacher(
    section: TeacherConfig, config: Config, dataset: Dataset, folder: Path, say: Say, work: TeacherWork
) -> LoadedTeacher:
    context = TeacherContext(folder, lambda recipe: work.train(recipe, config, dataset, say), say)
    return _loaded(section, dataset, context)


def _loaded(section: TeacherConfig, dataset: Dataset, context: TeacherContext) -> LoadedTeacher:
    """Load the teacher of `section`, and check that it has what its source declares.

    Raises:
        TeacherError: it has not, or nothing can be loaded.
    """
    source, data_spec = Teacher.of(section), data_spec_of(dataset)
    teacher = source.load(section, data_spec, context)
    _check_kinds(teacher, section.source)
    found = [name for name in ("module", "table") if getattr(teacher, name) is not None]
    if not found or ("module" in found) != source.has_network:
        must = "a module" if source.has_network else "a table alone"
        raise TeacherError(
            f"teacher.source: {section.source!r} must load {must}, since its has_network is {source.has_network}, but "
            f"has loaded {' and '.join(found) or 'neither module nor table'}; change has_network, or what load gives."
        )
    if teacher.module is not None:  # a custom source may leave it in train mode, with dropout on
        put_in_evaluation(teacher.module).requires_grad_(False)
        try_two(teacher.module, data_spec, "teacher.source", f" of {section.source!r}")
    if teacher.table is None or isinstance(teacher.table, KeptRows):
        return teacher
    return replace(teacher, table=checked_logits(teacher.table, data_spec, "teacher.source", repr(section.source)))


def _check_kinds(teacher: LoadedTeacher, source: str) -> None:
    """Refuse what a custom source has loaded if its types are not those of `LoadedTeacher`."""
    if not isinstance(teacher, LoadedTeacher):
        raise TeacherError(
            f"teacher.source: {source!r} must load a LoadedTeacher, but has loaded {type(teacher).__name__}; put it "
            "into one."
        )
    if not isinstance(teacher.module, nn.Module | None):
        raise TeacherError(
            f"teacher.source: the module of {source!r} must be a torch.nn.Module, but is "
            f"{type(teacher.module).__name__}; put it into one."
        )
    try:
        json.dumps(teacher.record)
    except (TypeError, ValueError) as error:
        raise TeacherError(
            f"teacher.source: the record of {source!r} must go into summary.json ({one_line(error)}); let it hold "
            "numbers, text, and lists and tables of these."
        ) from error


def data_spec_of(dataset: Dataset) -> DataSpec:
    """The description of the data that the teacher must fit."""
    return DataSpec(
        dataset.classes,
        dataset.input_shape,
        dataset.mean,
        dataset.std,
        dataset.split_fingerprint,
        dataset.num_source_rows,
    )
