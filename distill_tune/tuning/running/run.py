"""Run the search itself: Ray Tune around the conductor."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.cluster.pinning import on_this_node
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.running.controller import run_trials
from distill_tune.tuning.running.lane_adapters import Hands, LaneScheduler, LaneSearcher
from distill_tune.tuning.running.lane_desk import LaneDesk
from distill_tune.tuning.running.lane_host import LaneHost
from distill_tune.tuning.running.place_actors import PlaceActors
from distill_tune.tuning.running.tune_adapters import ConductedScheduler, ConductedSearcher, Kept, Waiting
from distill_tune.tuning.workers.groups import WORKERS
from distill_tune.tuning.workers.trial import Trial, TrialContext

_DEATHS_OF_A_PLACE = 10
"""How often in a row, at least, the process of a place with lanes may die before the place is given up."""


def run_search(conductor: Conductor, context: TrialContext, say: Callable[[str], None] = lambda line: None) -> None:
    """Run trials until the conductor says that the search is over; every trial has then ended in the ledger."""
    if not conductor.is_over:
        _run_tune(conductor, context, say)
    conductor.end_the_rest()
    conductor.budget.end(Reason.EXHAUSTED if conductor.why_exhausted else Reason.TRIALS)


def _run_tune(conductor: Conductor, context: TrialContext, say: Callable[[str], None]) -> None:
    folder = context.result_folder / "tune"
    parts = _in_lanes(conductor, context) if context.lanes > 1 else _alone(conductor, context)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(parts.places)
    resources = _resources(context.space.config.resources)
    stopper = Waiting(conductor, parts.scheduler, say)
    try:
        run_trials(parts.actors, resources, parts.searcher, parts.scheduler, stopper, folder, parts.max_failures)
    finally:
        for leftover in (folder, context.result_folder / WORKERS):
            shutil.rmtree(leftover, ignore_errors=True)


@dataclass(frozen=True)
class _TuneParts:
    """The parts that Tune runs with."""

    actors: PlaceActors
    searcher: ConductedSearcher
    scheduler: ConductedScheduler
    places: int
    max_failures: int
    """How often one of Tune's trials may fail."""


def _alone(conductor: Conductor, context: TrialContext) -> _TuneParts:
    """The parts without lanes: each of our trials is one of Tune's."""
    kept = Kept()
    searcher, scheduler = ConductedSearcher(conductor, kept), ConductedScheduler(conductor, kept)
    actors, retries = PlaceActors.of(Trial, context=context), context.space.config.search.retries
    return _TuneParts(actors, searcher, scheduler, conductor.concurrency, retries)


def _in_lanes(conductor: Conductor, context: TrialContext) -> _TuneParts:
    """The parts with lanes: each place is one of Tune's trials, with several of ours in its lanes."""
    retries = context.space.config.search.retries
    desk = desk_here(retries)
    hands = Hands(conductor, context.lanes, lambda place, hand: ray.get(desk.give.remote(place, hand)))
    actors = PlaceActors.of(LaneHost, context=context, desk=desk)
    kept = Kept()
    searcher, scheduler = LaneSearcher(conductor, hands, kept), LaneScheduler(conductor, hands, kept)
    deaths = max(_DEATHS_OF_A_PLACE, (retries + 1) * context.lanes)  # each lane in turn may be at fault
    return _TuneParts(actors, searcher, scheduler, conductor.concurrency // context.lanes, deaths)


def desk_here(retries: int) -> Any:
    """The desk's actor, on the driver's node: on another, it could be lost alone and take the search with it."""
    return ray.remote(LaneDesk).options(num_cpus=0, scheduling_strategy=on_this_node()).remote(retries)


def _resources(resources: ResourcesConfig) -> dict[str, float]:
    """A trial's resources; one worker trains in its process, while Ray Train itself asks for those of several."""
    if resources.workers_per_trial > 1:
        return {"memory": 1.0}  # Tune refuses a trial without resources, but CPUs are for the workers
    return {"CPU": resources.cpus_per_worker} | (
        {"GPU": resources.gpus_per_worker} if resources.gpus_per_worker else {}
    )
