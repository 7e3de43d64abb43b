"""How much disk space a search will need, checked before it begins rather than found out when the disk is full."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distill_tune.config import Config, Space, Values
from distill_tune.config.corners import end_of
from distill_tune.config.leaves import named
from distill_tune.config.sections import TeacherConfig
from distill_tune.data import Dataset
from distill_tune.distillation.cache.features import feature_bytes
from distill_tune.distillation.cache.folders import number_of_views
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.cache.size import CacheSize
from distill_tune.distillation.preparation.feature_checks import anatomy_of_family, feature_losses, teacher_layers
from distill_tune.distillation.preparation.ready_teachers import teachers_to_prepare
from distill_tune.distillation.preparation.users_keys import said_of_member, said_of_the_teacher
from distill_tune.distillation.preparation.variants import augmentation_variants
from distill_tune.errors import ConfigError
from distill_tune.room import check_room, free_bytes, in_bytes
from distill_tune.students import count_cost
from distill_tune.teachers import family_trained_here
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.schedulers import Scheduler
from distill_tune.tuning.state.plan import ConfirmationPlan

_NUMBER_BYTES = 4
_CHECKPOINT_COPIES = 2 * 3
"""Weights and an optimizer's two moments, twice: a new checkpoint is complete before the previous one is deleted."""
_PAUSED_COPIES = 3
_MEMORY_COPIES = 2
"""Copies of what a loss remembers per sample, which has no moments."""
_TRIAL_BYTES, _EPOCH_BYTES = 8_000, 1_500
"""What a trial, and each of its epochs, adds to study, ledger and TensorBoard; searches on digits, and one of 10,000
trials, used 0.52 to 0.60 of it."""


@dataclass(frozen=True)
class Footprint:
    """Bytes by purpose; the prepared data already exist."""

    cache: CacheSize
    features: int
    """Of a teacher that is trained here; those of any other are reported and checked when it is loaded."""
    teacher: int
    """The weights of a teacher that is trained here."""
    checkpoints: int
    """Of concurrent training runs and paused trials, and the confirmation's students."""
    records: int
    """Study, ledger, TensorBoard."""

    @classmethod
    def of(cls, space: Space, dataset: Dataset, limits: Limits, places: int) -> Footprint:
        """The most a search of `space` will need, with training runs in all lanes of `places`, or all if fewer."""
        search, plan = space.config.search, ConfirmationPlan.of(space.config)
        runs, recorded = plan.num_runs, plan.searches * search.trials + plan.num_runs
        at_a_time = min(places * _lanes(space), max(search.trials, runs))
        parts = 1 + (space.config.data.folds or 0)  # with folds, one of everything per fold and one for the whole
        student = _NUMBER_BYTES * _largest_student(space, limits) * parts
        memory = _memory_bytes(space, dataset) * parts
        at_work = (student * _CHECKPOINT_COPIES + memory * _MEMORY_COPIES) * at_a_time
        paused = (student * _PAUSED_COPIES + memory) * _most_paused(space)
        teachers, variants = len(teachers_to_prepare(space)) * parts, list(augmentation_variants(space))
        return cls(
            CacheSize.of(variants * teachers, dataset),
            _feature_bytes(space, variants, dataset) * parts,
            _NUMBER_BYTES * _teacher_parameters(space, dataset) * parts,
            at_work + paused + student * (runs + 1),
            recorded * (_TRIAL_BYTES + search.max_epochs * _EPOCH_BYTES),
        )

    @property
    def num_bytes(self) -> int:
        """The total."""
        return self.cache.num_bytes + self.features + self.teacher + self.checkpoints + self.records

    def check(self, storage: Path) -> None:
        """Refuse a disk without enough room.

        Raises:
            ConfigError: there is less room.
        """
        is_of_the_cache = 2 * (self.cache.num_bytes + self.features) > self.num_bytes
        check_room(
            storage, self.num_bytes, f"the search ({self._parts})", self.cache.way_out if is_of_the_cache else ""
        )

    def lines(self, storage: Path) -> list[str]:
        """The lines of the plan: the cache, and the total against the free space."""
        whole = (
            f"up to {in_bytes(self.num_bytes)} ({self._parts}) below {storage}, {in_bytes(free_bytes(storage))} free"
        )
        return [str(self.cache), f"disk: {whole}"]

    @property
    def _parts(self) -> str:
        parts = {
            f"teacher's cache of {self.cache.counts}": self.cache.num_bytes,
            "teacher's features": self.features,
            "teacher": self.teacher,
            "checkpoints and students": self.checkpoints,
            "study, ledger and TensorBoard": self.records,
        }
        return ", ".join(f"{name} {in_bytes(count)}" for name, count in parts.items() if count)


def _feature_bytes(space: Space, variants: list[Config], dataset: Dataset) -> int:
    """Bytes cached for losses on features, of a teacher whose layers are known before it is trained.

    Raises:
        ConfigError: a student and that teacher have no layers that can be compared.
    """
    family = family_trained_here(space.config.teacher)
    if family is None or not feature_losses(space):
        return 0
    anatomy = anatomy_of_family(family, dataset)
    views, samples = sum(map(number_of_views, variants)), num_visible(dataset)
    return feature_bytes(anatomy, teacher_layers(space, dataset, anatomy), samples, views)


def _memory_bytes(space: Space, dataset: Dataset) -> int:
    """The most bytes that the losses of a training run remember about samples."""
    samples, most = num_visible(dataset), dict[str, int]()
    for name, loss in feature_losses(space):
        most[name] = max(most.get(name, 0), loss.memory_bytes(samples))
    return sum(most.values())


def _lanes(space: Space) -> int:
    """Lanes per place; one if still to be settled, since only small students get more."""
    lanes = space.config.resources.lanes
    return 1 if lanes == "auto" else lanes


def _most_paused(space: Space) -> int:
    """How many trials may keep a checkpoint while paused; 0 if time or epochs end the search, as then it is unknown."""
    search = space.config.search
    judge = Scheduler.judge_of(search)
    return search.trials if judge.pauses and judge.rungs and search.time is None and search.epochs is None else 0


def _largest_student(space: Space, limits: Limits) -> int:
    """Parameters of the largest student within the limit.

    The search starts at the last corners and goes range by range, since any value of a choice may be the largest.
    """
    found = [0]
    for family in space.families:
        values = end_of(space, family, -1)
        for name, ranged in named(space.ranges_of(family)).items():
            options = (values | {name: corner} for corner in ranged.corners())
            values = max(options, key=lambda option: _parameters_at(space, limits, option))
        found.append(_parameters_at(space, limits, values))
    limit = space.config.limits.max_parameters
    return max(found) if limit is None else min(limit, max(found))


def _parameters_at(space: Space, limits: Limits, values: Values) -> int:
    """Parameters of a student; 0 if it cannot be built."""
    with suppress(ConfigError):
        return limits.cost(space.at(values)).parameters
    return 0


def _teacher_parameters(space: Space, dataset: Dataset) -> int:
    """Parameters of the teachers that are trained here; others are not copied."""
    return sum(_parameters(name, teacher, dataset) for name, teacher in teachers_to_prepare(space).items())


def _parameters(name: str, teacher: TeacherConfig, dataset: Dataset) -> int:
    if (family := family_trained_here(teacher)) is None:
        return 0
    with said_of_member(name), said_of_the_teacher():
        return count_cost(family, dataset.input_shape, len(dataset.classes)).parameters
