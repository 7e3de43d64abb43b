"""Fitting a space to its data, its time and this machine, before anything is trained.

Limits that no student can meet are refused. What the configuration leaves to the machine (`optim.precision = "auto"`)
and what the time cannot pay for (`search.max_epochs`) is settled here once, so that all trials share it and
`search.toml` records it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from distill_tune.config import Space, Values, parse_duration_s
from distill_tune.config.corners import edges_of
from distill_tune.config.leaves import PACES, found_at, named
from distill_tune.config.searching import COSTS, LATENCY
from distill_tune.data import Dataset
from distill_tune.distillation.devices import is_missing
from distill_tune.distillation.preparation.single_samples import check_single_samples
from distill_tune.distillation.preparation.student_checks import check_own_students
from distill_tune.distillation.training.pace import PLAIN, Pace
from distill_tune.errors import ConfigError
from distill_tune.paths import expanded
from distill_tune.students import Student
from distill_tune.tuning.planning.early_warnings import early_warnings
from distill_tune.tuning.planning.estimate import chosen_paces, estimated_epoch_s, estimated_examination_s
from distill_tune.tuning.planning.first_to_try import first_to_try, start_with_over_limits
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.planning.ranges_in_vain import without_ranges_in_vain
from distill_tune.tuning.planning.smallest import families_never_trained, smallest_student
from distill_tune.tuning.planning.start_with import check_start_with, what_may_be_dropped
from distill_tune.tuning.planning.time_budget import affordable_epochs, least_epochs
from distill_tune.tuning.planning.without_teacher import space_without_teacher
from distill_tune.tuning.proposals.start_from import check_others
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.state.records import TrialRecord


@dataclass(frozen=True)
class Fitted:
    """A space that can be searched on this machine."""

    space: Space
    limits: Limits
    smallest: Values
    """The sampled values of the smallest student, which is within the limits, with a teacher or without."""

    @property
    def first_settings(self) -> list[Values]:
        """Settings to try first, unless the search has learned from others' trials; see `first_settings_beside`."""
        search = self.space.config.search
        return first_to_try(self.space, self.limits) if search.start_with == "middle" else search.start_with

    def first_settings_beside(self, learned: int) -> list[Values]:
        """Settings to try first in a search that has learned this many trials of others; with any, no middles."""
        return [] if learned and self.space.config.search.start_with == "middle" else self.first_settings

    def without_teacher(self) -> Fitted:
        """The space of `confirm.baseline_search`, fitted.

        Raises:
            ConfigError: the sampler cannot sample that space.
        """
        space = space_without_teacher(self.space)
        Sampler.of(space.config.search).check(space)
        return Fitted(space, self.limits, self.smallest)


def fit(space: Space, dataset: Dataset, places: int, say: Callable[[str], None]) -> Fitted:
    """Settle what the space leaves open, for `places` training runs at a time.

    Raises:
        ConfigError: no student of the space is within its limits or fits the data, or it cannot start from others.
    """
    check_others(space.config.search)
    space = without_ranges_in_vain(space, dataset, say)
    for warning in early_warnings(space, dataset):
        say(f"warning: {warning}")
    space = _to_anywhere(space)
    fitted = known_to_fit(space, dataset)
    of_limits = chain(families_never_trained(space, fitted.limits), start_with_over_limits(space, fitted.limits))
    for warning in chain(what_may_be_dropped(space), of_limits):
        say(f"warning: {warning}")
    check_own_students(space, dataset)  # this and the next before students' steps are timed
    check_single_samples(space, dataset)
    return replace(fitted, space=_to_time(_to_machine(space, dataset), dataset, places, say))


def _check_sampler(space: Space) -> None:
    search = space.config.search
    sampler = Sampler.of(search)
    sampler.check(space)
    if ":" in search.sampler:
        from optuna.samplers import BaseSampler

        made: object = sampler.build(search.seed, 0)
        if not isinstance(made, BaseSampler):
            raise ConfigError(
                f"search.sampler: `build` of {search.sampler!r} must give one of Optuna's samplers, but gave "
                f"{made!r:.60}; mend it."
            )


def known_to_fit(space: Space, dataset: Dataset, known: Sequence[TrialRecord] = ()) -> Fitted:
    """Fit a space that leaves nothing open, such as that of a resumed search.

    Args:
        space: the space to search.
        dataset: the data to search it on.
        known: the trials of earlier sessions, whose students keep the latency measured then.

    Raises:
        ConfigError: no student of the space is within its limits, or its sampler cannot sample it.
    """
    _check_sampler(space)
    check_start_with(space)
    limits = Limits(space.config.limits, dataset)
    _check_costs_differ(space, limits)
    limits.know_latencies(space, known)
    fitted = Fitted(space, limits, _smallest(space, limits, known))
    if space.config.confirm.baseline_search:
        fitted.without_teacher()
    return fitted


def _smallest(space: Space, limits: Limits, known: Sequence[TrialRecord]) -> Values:
    """The smallest student now or, if none is fast enough, the smallest trained one: a busy machine ends no search."""
    try:
        return smallest_student(space, limits)
    except ConfigError:
        trained = [record.values for record in known if record.reports]
        fit = [v for v in trained if limits.excess(space.at(v)).limit in ("", "max_latency_ms")]
        if not fit:
            raise
    values = min(fit, key=lambda values: limits.cost(space.at(values)).parameters)
    of_student = ["student.family", *named(space.ranges_of(space.at(values).student.family))]
    return {name: values[name] for name in of_student if name in values}


def _to_anywhere(space: Space) -> Space:
    """Make the paths of other searches absolute, since the search may be resumed from any folder."""
    others = [str(expanded(folder).absolute()) for folder in space.config.search.start_from]
    return space.with_fixed("search", "start_from", others) if others else space


def _to_machine(space: Space, dataset: Dataset) -> Space:
    """Settle precision and memory format for each family, measured on the device that trials train on.

    If trials have GPUs and this machine has none, it is left open, and each worker uses its own default.
    """
    if not _is_open(space, "precision") or is_missing(space.config):
        return space
    open_keys = [key for key in Pace._fields if _is_open(space, key)]
    found = chosen_paces(space, dataset)
    paces = {family: {key: getattr(pace, key) for key in open_keys} for family, pace in found.items()}
    if given := found_at(space.tables, PACES):
        paces |= {family: {**paces.get(family, {}), **own} for family, own in given.items()}
    if given or len({*map(str, paces.values())}) > 1:
        return space.with_fixed("optim", "paces", paces)
    for key in open_keys:
        space = space.with_fixed("optim", key, getattr(next(iter(found.values()), PLAIN), key))
    return space


def _is_open(space: Space, key: str) -> bool:
    return getattr(space.config.optim, key) == "auto" and ("optim", key) not in space.ranges


def _to_time(space: Space, dataset: Dataset, places: int, say: Callable[[str], None]) -> Space:
    """Lower `search.max_epochs` if the time cannot pay for a confirmation at the full number."""
    config = space.config
    if config.search.time is None or (epoch_s := estimated_epoch_s(space, dataset)) is None:
        return space
    total_s, each_s = parse_duration_s(config.search.time), estimated_examination_s(space, dataset)
    epochs = affordable_epochs(config, epoch_s, total_s, places, each_s or 0.0)
    if epochs >= config.search.max_epochs:
        return space
    is_least = epochs <= least_epochs(config)
    least = " at most, the fewest that can be compared" if is_least else ""
    longer = "; the search may take longer" if is_least else ""
    say(f"{config.search.time} pay for {epochs} epochs a training{least}, not {config.search.max_epochs}{longer}")
    return space.with_fixed("search", "max_epochs", epochs)


def _check_costs_differ(space: Space, limits: Limits) -> None:
    for name in (name for name in space.config.search.objectives if name in COSTS):
        if len(_at_the_edges(space, limits, name)) == 1:
            raise ConfigError(
                f"search.objectives: {name!r} is the same for every student of this space; give the student a range "
                "that changes it, or leave it out."
            )


def _at_the_edges(space: Space, limits: Limits, cost: str) -> set[Any]:
    """The distinct costs at the edges; for latency, which is not measured here, the distinct students."""
    found = set()
    for values in chain.from_iterable(edges_of(space, family) for family in space.families):
        with suppress(ConfigError):  # a custom network cannot be built this way
            config = space.at(values)
            found.add(repr(Student.of(config.student)) if cost == LATENCY else getattr(limits.cost(config), cost))
    return found
