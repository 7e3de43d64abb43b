"""The search itself: Ray Tune around the conductor."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from ray import tune

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.budget import Reason
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.controller import run_trials
from distill_tune.tuning.trial import WORKERS, Trial, TrialContext
from distill_tune.tuning.tune_adapters import ConductedScheduler, ConductedSearcher, Waiting


def run_search(conductor: Conductor, context: TrialContext, say: Callable[[str], None] = lambda line: None) -> None:
    """Run trials until the conductor says that it is over; every trial has then ended in its ledger."""
    if not conductor.is_over:
        _run_tune(conductor, context, say)
    conductor.end_the_rest()
    conductor.budget.end(Reason.EXHAUSTED if conductor.exhausted else Reason.TRIALS)


def _run_tune(conductor: Conductor, context: TrialContext, say: Callable[[str], None]) -> None:
    folder = context.result_folder / "tune"
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(conductor.concurrency)
    config = context.space.config
    trainable = tune.with_resources(tune.with_parameters(Trial, context=context), _resources(config.resources))
    scheduler = ConductedScheduler(conductor)
    stopper = Waiting(conductor, scheduler, say)
    try:
        run_trials(trainable, ConductedSearcher(conductor), scheduler, stopper, folder, config.search.retries)
    finally:
        for leftover in (folder, context.result_folder / WORKERS):
            shutil.rmtree(leftover, ignore_errors=True)


def _resources(resources: ResourcesConfig) -> dict[str, float]:
    """One worker trains in the trial's own process; several are Ray Train's, which asks for their share itself."""
    if resources.workers_per_trial > 1:
        return {"memory": 1.0}  # Tune refuses a trial without any resource, and CPUs are the workers'
    return {"CPU": resources.cpus_per_worker} | (
        {"GPU": resources.gpus_per_worker} if resources.gpus_per_worker else {}
    )
