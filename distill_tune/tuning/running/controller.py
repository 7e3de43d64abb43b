"""Ray Tune's loop over trials, without what makes it slow and large when there are many.

`tune.Tuner` wraps a `TuneController` in a state on disk, a table of results and a progress reporter. A search uses none
of them: its logbook, study and ledger are authoritative, and it is not resumed with `Tuner.restore`. So the controller
is run directly, and fixed where it is ill-suited to a search of ten thousand short trials (Ray 2.60):

- It keeps every trial forever, some 20 KB each, and a folder per trial. Here a trial is forgotten when it has ended,
  and all share one folder, in which nothing is written.
- It writes all trials to disk at its first step, at its end and from time to time, and the error that a trial died of;
  on a full disk that is a traceback.
- It fails a trial whose actor dies while being passed on from another trial, however many retries there are. Here such
  a death is handled once, and the first one is no failure of the trial, which has not run.
- It keeps an actor warm for the next trial even if none can come before another trial has its workers' places.
- Its schedulers scan all trials at each step (`ConductedScheduler.choose_trial_to_run` does not).
- It makes every process of the search load Ray Tune; our actors need not (`place_actors.py`).
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
    """Run what the searcher proposes until it is finished; `folder` is Tune's scratch folder, useless afterwards."""
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
    controller._buffer_length = 1  # despite TUNE_RESULT_BUFFER_LENGTH: each result needs a decision
    try:
        while not controller.is_finished():
            controller.step()
            scheduler.kept.raise_it()
    except Exception:
        controller.cleanup()
        raise
    controller.cleanup()  # not in a `finally`: a second Ctrl-C must not wait


def _count_failure(trial: Any, error: Exception | None = None) -> None:
    """Count a failure like `Trial.handle_error`, without the two files that it writes as well."""
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
        """Trials whose actor died while being passed on to them; a second such death may be the trial's own fault."""

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Do nothing: the search has its own state."""

    def _mark_trial_to_checkpoint(self, trial: TuneTrial) -> None:
        """Do nothing; see `checkpoint`."""

    def add_trial(self, trial: Any) -> None:
        """Add a trial, in the shared folder."""
        trial.relative_logdir = trial.storage.trial_dir_name = _FOLDER
        trial.handle_error = partial(_count_failure, trial)
        super().add_trial(trial)

    def _maybe_add_actors(self) -> None:
        """Assign actors; idle ones end if their workers hold the places that others wait for.

        A trial with several workers has its actor at once and waits in it. On a cluster that has lost a node it might
        wait for a group kept warm for the next trial, which is proposed only once the waiting one has reported.
        """
        super()._maybe_add_actors()
        is_idle = self._actor_cache.num_cached_objects and not self._pending_trials
        if is_idle and self._conducted.is_anybody_waiting and are_places_waited_for():
            self._cleanup_cached_actors(force_all=True)

    def _actor_failed(self, tracked_actor: Any, exception: Exception) -> None:
        """Handle an actor's death; the first one while being passed on to a trial is no failure of that trial."""
        trial = self._actor_to_trial[tracked_actor]
        failures = trial.run_metadata.num_failures
        is_forgiven = trial in self._resetting_trials and trial not in self._forgiven
        if is_forgiven:
            self._forgiven.add(trial)
            trial.run_metadata.num_failures -= 1
        super()._actor_failed(tracked_actor, exception)
        if is_forgiven:
            trial.run_metadata.num_failures = failures  # even if Tune did not count the death, as of a spot node

    def _trial_task_failure(self, trial: Any, exception: Exception) -> None:
        """Handle a failure, but not a second time the death of an actor being passed on to a waiting trial."""
        self._resetting_trials.discard(trial)
        if trial in self._pending_trials and isinstance(exception, RayActorError):
            return  # `_actor_failed` has retried it, or soon will
        super()._trial_task_failure(trial, exception)

    def on_step_end(self) -> None:
        """Forget trials that have ended."""
        super().on_step_end()  # type: ignore[no-untyped-call]
        for ended in (self._stopped_trials, self._failed_trials):
            for trial in [trial for trial in ended if trial not in self._trial_to_actor]:
                ended.remove(trial)
                self._live_trials.discard(trial)
                self._forgiven.discard(trial)
                self._trials.remove(trial)
