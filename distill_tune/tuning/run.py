"""The search itself: Ray Tune around the conductor."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ray import tune

from distill_tune.config.sections import ResourcesConfig
from distill_tune.tuning.budget import Budget, Reason
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.gathering import gather
from distill_tune.tuning.trial import CHECKPOINTS, WORKERS, Trial, TrialContext
from distill_tune.tuning.tune_adapters import ConductedScheduler, ConductedSearcher

_RETRIES = 2
"""How often a trial whose process died is taken up again, from its last checkpoint."""


def run_search(conductor: Conductor, context: TrialContext) -> None:
    """Run trials until the conductor says that it is over; every trial has then ended in its ledger."""
    folder = context.result_folder / "tune"
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(conductor.concurrency)
    gathering = gather(conductor.concurrency)
    trainable = tune.with_parameters(Trial, context=context, gathering=gathering)
    tuner = tune.Tuner(
        tune.with_resources(trainable, _resources(context.space.config.resources)),
        tune_config=tune.TuneConfig(
            search_alg=ConductedSearcher(conductor),
            scheduler=ConductedScheduler(conductor),
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(folder),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    for leftover in (folder, context.result_folder / WORKERS, context.result_folder / CHECKPOINTS):
        shutil.rmtree(leftover, ignore_errors=True)


def _resources(resources: ResourcesConfig) -> dict[str, float]:
    """One worker trains in the trial's own process; several are Ray Train's, which asks for their share itself."""
    if resources.workers_per_trial > 1:
        return {"memory": 1.0}  # Tune refuses a trial without any resource, and CPUs are the workers'
    return {"CPU": resources.cpus_per_worker} | (
        {"GPU": resources.gpus_per_worker} if resources.gpus_per_worker else {}
    )


@contextmanager
def interruptible(budget: Budget) -> Iterator[None]:
    """Ctrl-C or SIGTERM ends the search at the next epoch; a second one ends the program."""

    def end(number: int, frame: FrameType | None) -> None:
        if budget.ended_by is Reason.USER:
            raise KeyboardInterrupt
        budget.end(Reason.USER)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
