"""How many lanes a place has: settled once per search, by briefly training students drawn from its space.

Whether lanes pay depends on the students (small MLPs gain most, convolutions cannot be fused), on the processor, and on
how many of a space's students can be fused with each other. So some are drawn from the space and trained alone and in
lanes, alternately.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any

import torch

from distill_tune.config import Config, Values
from distill_tune.data.dataset import open_dataset
from distill_tune.distillation.cache.folders import views_of_augmentation
from distill_tune.distillation.devices import is_missing, memory_given_back
from distill_tune.distillation.lanes import Lanes, may_fuse
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.seeds import generators_kept
from distill_tune.distillation.training.allocator import freed_memory_kept
from distill_tune.distillation.views import Views
from distill_tune.errors import ConfigError, is_short_of_memory
from distill_tune.export.result_folder import SEARCH_TOML
from distill_tune.students import Student, student_on
from distill_tune.threads import threads
from distill_tune.tuning.planning.fitting import Fitted

_CHOICES = (4, 8, 16, 32)
_TRIALS_A_LANE = 4
"""Minimum trials per lane: the sampler learns nothing from trials that all run at once."""
_DRAWS = 50
"""Draws per student that must be found within the limits."""
_LOOKED_AT = 16
"""How many students are drawn to see whether any can be fused, if the number of lanes is given."""
_STEPS = 24
_TURNS = 3
_WORTH_IT = 1.3
"""The speed-up at which lanes are used at all; more lanes must beat fewer by `_WORTH_MORE`."""
_WORTH_MORE = 1.1
_PATIENCE_S = 5.0
"""Seconds after which no larger number of lanes is tried."""


def with_lanes(fitted: Fitted, prepared: Prepared, places: int, say: Callable[[str], None]) -> Fitted:
    """Settle `resources.lanes = "auto"`."""
    config = fitted.space.config
    if config.resources.lanes != "auto":
        if config.resources.lanes != 1 and (why := _why_in_vain(fitted, prepared)):
            say(f"resources.lanes = {config.resources.lanes}: {why}")
        return fitted
    are_alone = config.resources.workers_per_trial > 1 or config.data.folds is not None
    are_alone = are_alone or prepared.live_teacher is not None
    counts = [] if are_alone else _counts(config.search.trials, places)
    lanes = _fastest(_longer(fitted), prepared, counts, say)
    return replace(fitted, space=fitted.space.with_fixed("resources", "lanes", lanes))


def too_many_at_once(config: Config, places: int, before: int) -> list[str]:
    """A warning if a search goes on where its lanes are too many, unless they were with the places `before` too.

    They may have been measured on a smaller machine, and are in `search.toml` as if the user had set them.
    """
    lanes, trials = config.resources.lanes, config.search.trials
    assert lanes != "auto", "settled before a search"
    if lanes == 1 or _leaves_enough(lanes, places, trials) or not _leaves_enough(lanes, before, trials):
        return []
    return [
        f"warning: with resources.lanes = {lanes} and {places} places, {min(lanes * places, trials)} of {trials} "
        "trials train at a time, so the sampler learns little from them; you may lower resources.lanes, or set "
        f"resources.concurrent_trials (the number of places), in {SEARCH_TOML}"
    ]


def _counts(trials: int, places: int) -> list[int]:
    return [count for count in _CHOICES if _leaves_enough(count, places, trials)]


def _leaves_enough(lanes: int, places: int, trials: int) -> bool:
    return lanes * places * _TRIALS_A_LANE <= trials


def _longer(fitted: Fitted) -> Fitted:
    """The space with at least one more epoch than turns: the last epoch measures more, and must not be timed.

    The number of the teacher's views, which follows that of the epochs, stays as prepared.
    """
    config = fitted.space.config
    space = fitted.space.with_fixed("teacher", "views", views_of_augmentation(config))
    return replace(fitted, space=space.with_fixed("search", "max_epochs", max(config.search.max_epochs, _TURNS + 1)))


def _why_in_vain(fitted: Fitted, prepared: Prepared) -> str:
    """Why no students of a space can be fused, and what to do about it; empty if some can, or may."""
    config, in_turns = fitted.space.config, "cannot be fused and train in turns; set"
    if ("optim", "precision") not in fitted.space.ranges and _is_bfloat16(config):
        return f"students in bfloat16 {in_turns} optim.precision = 'float32'"
    if prepared.live_teacher is not None:
        return f"students beside a live teacher {in_turns} teacher.mode = 'cached', or lanes = 1"
    drawn = _students(fitted, _LOOKED_AT)
    if drawn and not any(_may_fuse(each, prepared) for each in drawn):
        return f"none of {len(drawn)} students drawn from the space can be fused, so all train in turns; set lanes = 1"
    return ""


def _is_bfloat16(config: Config) -> bool:
    """Whether students train in bfloat16, as they do if "auto" is left to GPUs of other machines."""
    return config.optim.precision == "bfloat16" or (config.optim.precision == "auto" and is_missing(config))


def _fastest(fitted: Fitted, prepared: Prepared, choices: Sequence[int], say: Callable[[str], None]) -> int:
    if not choices or is_missing(fitted.space.config):
        return 1
    resources = fitted.space.config.resources
    device, until_s = resources.device, time.monotonic() + _PATIENCE_S
    with (
        threads(resources.cpus_per_worker),
        generators_kept(torch.device(device)),
        freed_memory_kept(),
        memory_given_back(device),
    ):
        counts = takewhile(lambda _: time.monotonic() < until_s, choices)
        measured = ((count, _speed_if_it_fits(_students(fitted, count), prepared, device)) for count in counts)
        lanes, speed = _worth_having(measured)
    if lanes > 1:
        say(f"students train {speed:.1f} times as fast in {lanes} fused lanes a place")
    return lanes


def _worth_having(measured: Iterable[tuple[int, float]]) -> tuple[int, float]:
    """The number of lanes to use, and how many times as fast students train in them; one lane if none pay."""
    lanes, speed = 1, _WORTH_IT / _WORTH_MORE
    for count, found in measured:
        if found >= speed * _WORTH_MORE:
            lanes, speed = count, found
    return lanes, speed


def _students(fitted: Fitted, count: int) -> list[Config]:
    """Up to `count` random students, as the search will propose them before it has learned."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = (_usable(fitted.space.suggest(study.ask()), fitted) for _ in range(_DRAWS * count))
    return list(islice(filter(None, drawn), count))


def _usable(values: Values, fitted: Fitted) -> Config | None:
    """The run with these values; None if they break a rule or a limit, or a custom network cannot be built."""
    with suppress(ConfigError):
        config = fitted.space.at(values)
        if fitted.limits.excess(config).share <= 0:
            return config
    return None


def _speed_if_it_fits(configs: list[Config], prepared: Prepared, device: str) -> float:
    """As `_speed`; 0 if a GPU has no memory for so many."""
    try:
        return _speed(configs, prepared, device)
    except RuntimeError as error:
        if not is_short_of_memory(error):
            raise
        return 0.0


def _speed(configs: list[Config], prepared: Prepared, device: str) -> float:
    """How many times as fast students train in lanes as alone; 0 if no two of them can be fused."""
    if sum(_may_fuse(config, prepared) for config in configs) < 2:
        return 0.0
    alone, together = [Lanes(device) for _ in configs], Lanes(device)
    samples = _STEPS * max(config.optim.batch_size for config in configs)
    is_alone = device == "cpu" and configs[0].resources.cpus_per_worker == 1
    with ExitStack() as stack:
        for seed, config in enumerate(configs):
            some = _less(Materials.open(prepared, config, device), config, samples)
            for lanes in (alone[seed], together):
                lanes.join(str(seed), config, some, seed)
                stack.callback(lanes.leave, str(seed))
        if not together.can_fuse:
            return 0.0
        times_s = [
            (_timed(lambda: list(map(_train, alone)), is_alone), _timed(lambda: _train(together), is_alone))
            for _ in range(_TURNS)
        ]
    return min(alone_s for alone_s, _ in times_s) / min(fused_s for _, fused_s in times_s)


def _train(lanes: Lanes) -> None:
    """Train an epoch; lanes that were out of memory would seem to be fast."""
    for outcome in lanes.next_epochs().values():
        if isinstance(outcome, Exception) and is_short_of_memory(outcome):
            raise outcome


def _may_fuse(config: Config, prepared: Prepared) -> bool:
    return may_fuse(config, student_on(Student.of(config.student), open_dataset(prepared.data_folder)))


def _less(materials: Materials, config: Config, samples: int) -> Materials:
    """The same materials with fewer samples, mixed only with each other, and proportionally fewer for validation.

    Missing labels are made up: training needs some, and any take as long.
    """
    share = min(1.0, samples / len(materials.labels))
    count = max(1, round(share * len(materials.validation_labels)))
    teacher = copy(materials.teacher)  # the original is shared in the process
    if teacher is not None:
        teacher.validation = teacher.validation[:count]
    inputs = materials.train_inputs[:samples]
    return replace(
        materials,
        views=Views(config.augmentation, inputs, materials.dataset.mean, config.data.seed),
        labels=materials.labels[:samples].clamp(min=0),
        train_inputs=inputs,
        validation_inputs=materials.validation_inputs[:count],
        validation_labels=materials.validation_labels[:count],
        teacher=teacher,
        corrupted=None,
    )


def _timed(work: Callable[[], Any], is_alone: bool) -> float:
    """Seconds of the work; process time if it uses one thread, since other programs disturb that less."""
    clock = time.process_time if is_alone else time.perf_counter
    began_s = clock()
    work()
    return clock() - began_s
