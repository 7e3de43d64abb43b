"""Ray Tune's loop over trials, without what makes it slow and large when there are many.

`tune.Tuner` wraps a `TuneController` in a state on disk, a table of results and a progress reporter. A search uses none
of them: its logbook, study and ledger are the truth, and `Tuner.restore` is not how it is taken up again. So the
controller is run directly, and is mended where it suits a search of ten thousand short trials badly (Ray 2.60):

- It keeps every trial for ever, some 20 KB each, and a folder for each. Here a trial is forgotten when it has ended,
  and all share one folder, in which nothing is written.
- It writes all trials to disk at its first step, at its end and now and then, and what a trial died of; with a full
  disk that is a traceback.
- It fails a trial whose actor dies while it is being handed over from another trial, however many retries there are.
  Here such a death is handled once, and the first one is no failure of the trial, which has not run.
- It keeps an actor warm for a trial to come, also where none will come before another has its workers' places.
- Its schedulers look through all trials at each step (`ConductedScheduler.choose_trial_to_run` does not).
- It has every process of the search load Ray Tune; ours has actors that need not (`place_actors.py`).
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Experiment
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher, SearchGenerator
from ray.tune.stopper import Stopper

from distill_tune.tuning.cluster.places import are_places_waited_for
from distill_tune.tuning.running.place_actors import PlaceActors, StandIn
from distill_tune.tuning.running.tune_adapters import ConductedScheduler

_FOLDER = "trials"


def run_trials(
    actors: PlaceActors,
    resources: dict[str, float],
    searcher: Searcher,
    scheduler: ConductedScheduler,
    stopper: Stopper,
    folder: Path,
    max_failures: int,
) -> None:
    """Run what the searcher proposes until it is finished; `folder` is Tune's own, of no use afterwards."""
    experiment = Experiment(
        _FOLDER,
        tune.with_resources(StandIn, resources),
        stop=stopper,
        num_samples=sys.maxsize,
        storage_path=str(folder),
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        max_failures=max_failures,
    )
    proposals = SearchGenerator(searcher)
    proposals.add_configurations([experiment])
    controller: Any = Controller(
        search_alg=proposals,
        scheduler=scheduler,
        stopper=stopper,
        trial_checkpoint_config=experiment.checkpoint_config,
        storage=experiment.storage,
        reuse_actors=True,
    )
    controller._actor_manager = actors
    controller._buffer_length = 1  # whatever TUNE_RESULT_BUFFER_LENGTH says: each result is decided on
    try:
        while not controller.is_finished():
            controller.step()
            scheduler.kept.raise_it()
    except Exception:
        controller.cleanup()
        raise
    controller.cleanup()  # a second Ctrl-C waits for nobody


def _count_failure(trial: Any, error: Exception | None = None) -> None:
    """As `Trial.handle_error` counts it, without the two files that it writes beside."""
    if isinstance(error, RayActorError):
        trial._handle_ray_actor_error(error)
    elif isinstance(error, RayTaskError):
        trial._handle_ray_task_error(error)
    else:
        trial.run_metadata.num_failures += 1
    trial.run_metadata.invalidate_cache()


class Controller(TuneController):
    """Forgets trials that have ended, and writes nothing."""

    def __init__(self, scheduler: ConductedScheduler, **parts: Any):
        super().__init__(scheduler=scheduler, **parts)
        self._conducted = scheduler
        self._forgiven = set[TuneTrial]()
        """Those that were being handed an actor when it died; a second such death may be the trial's own doing."""

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Nothing: the search has its own state."""

    def _mark_trial_to_checkpoint(self, trial: TuneTrial) -> None:
        """Nothing; see `checkpoint`."""

    def add_trial(self, trial: Any) -> None:
        """Take up a trial, in the folder of all."""
        trial.relative_logdir = trial.storage.trial_dir_name = _FOLDER
        trial.handle_error = partial(_count_failure, trial)
        super().add_trial(trial)

    def _maybe_add_actors(self) -> None:
        """Hand out actors; those that nobody wants end if their workers have the places that others wait for.

        A trial of several workers has its actor at once, and waits in it. On a cluster that has lost a node it may
        have to wait for a group that is kept warm, for a trial that is proposed only when it has told something.
        """
        super()._maybe_add_actors()
        is_idle = self._actor_cache.num_cached_objects and not self._pending_trials
        if is_idle and self._conducted.is_anybody_waiting and are_places_waited_for():
            self._cleanup_cached_actors(force_all=True)

    def _actor_failed(self, tracked_actor: Any, exception: Exception) -> None:
        """An actor has died; the first death of one that a trial was to take over counts as none of the trial's."""
        trial = self._actor_to_trial[tracked_actor]
        failures = trial.run_metadata.num_failures
        is_forgiven = trial in self._resetting_trials and trial not in self._forgiven
        if is_forgiven:
            self._forgiven.add(trial)
            trial.run_metadata.num_failures -= 1
        super()._actor_failed(tracked_actor, exception)
        if is_forgiven:
            trial.run_metadata.num_failures = failures  # also where Tune does not count a death, as of a spot node

    def _trial_task_failure(self, trial: Any, exception: Exception) -> None:
        """Handle a failure, but not twice the death of an actor that a waiting trial was to take over."""
        self._resetting_trials.discard(trial)
        if trial in self._pending_trials and isinstance(exception, RayActorError):
            return  # `_actor_failed` has it tried again, or soon will
        super()._trial_task_failure(trial, exception)

    def on_step_end(self) -> None:
        """Forget what has ended."""
        super().on_step_end()  # type: ignore[no-untyped-call]
        for ended in (self._stopped_trials, self._failed_trials):
            for trial in [trial for trial in ended if trial not in self._trial_to_actor]:
                ended.remove(trial)
                self._live_trials.discard(trial)
                self._forgiven.discard(trial)
                self._trials.remove(trial)
