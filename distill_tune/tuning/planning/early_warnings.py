"""Warnings before anything is trained: settings without effect, trials that repeat others, rankings left to chance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from distill_tune.config import Space
from distill_tune.config.corners import num_combinations
from distill_tune.config.searching import SearchConfig
from distill_tune.data import Dataset
from distill_tune.data.class_notes import too_few_to_rank_by
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers import Sampler

_WORST_CLASS = "val/worst_class_accuracy"


def early_warnings(space: Space, dataset: Dataset) -> Iterator[str]:
    """A line for each thing about a search that its user should know before it begins; nothing is refused for it."""
    search = space.config.search
    return chain(_of_the_sampler(search), _of_repeated_trials(space), _of_the_worst_class(search, dataset))


def _of_the_sampler(search: SearchConfig) -> Iterator[str]:
    """Warnings about sampler settings that have no effect."""
    sampler = Sampler.of(search)
    if search.start_from and not sampler.learns_from_others:
        able = [repr(name) for name in SAMPLERS.names if SAMPLERS.get(name).learns_from_others]
        yield (
            f"search.start_from has no effect, since search.sampler = {search.sampler!r} learns nothing from other "
            f"searches; use {' or '.join(able)}"
        )
    learns_at_once = search.start_from and sampler.learns_from_others
    if search.trials <= sampler.num_at_random and not learns_at_once:
        sooner = ", or use 'tpe'" if SAMPLERS.get("tpe")().startup_trials < search.trials else ""
        yield (
            f"search.sampler = {search.sampler!r} draws its first {sampler.num_at_random} trials at random, so a "
            f"search of {search.trials} learns nothing; raise search.trials{sooner}"
        )


def _of_repeated_trials(space: Space) -> Iterator[str]:
    """A warning if there are more trials than combinations: in one seed, equal values give the same student again."""
    search = space.config.search
    if Sampler.of(search).tries_each_once:
        return
    if (combinations := num_combinations(space)) < search.trials:
        many = "one combination" if combinations == 1 else f"at most {combinations:,.0f} combinations"
        yield (
            f"search.trials = {search.trials}, but this space has {many} of values, so trials will repeat each other; "
            "use search.sampler = 'grid', which tries each once, or lower search.trials"
        )


def _of_the_worst_class(search: SearchConfig, dataset: Dataset) -> Iterator[str]:
    """A warning if a class has too few samples to rank students by their worst class."""
    if _WORST_CLASS not in search.objectives:
        return
    split = dataset.split("validation" if dataset.folds is None else "train")
    if few := too_few_to_rank_by(split.labels, dataset.classes):
        more = "raise data.validation, use data.folds, or " if dataset.folds is None else ""
        yield (
            f"search.objectives: {_WORST_CLASS!r} goes by chance where a class has few samples to validate: {few}; "
            f"{more}search by 'val/accuracy' or 'val/loss'"
        )
