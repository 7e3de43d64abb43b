"""The actors of a search, which Ray Tune starts and which know nothing of it (`workers/tune_actor.py`).

Tune's `RayActorManager` starts an actor of the class that a trial is registered with, a `tune.Trainable`, and passes it
the trial's configuration along with objects of Tune's own, for which a process must load Ray Tune (Ray 2.60). This one
starts our own actors, and passes them only what our searcher has proposed. It also fixes two things:

- An actor that Ray's memory monitor has killed, or whose result was lost with a node, ends Tune's loop with an error.
  Here it counts as an actor that has died.
- All task futures of an actor that never ends its trial, such as a place with lanes, are kept. Here only the pending
  ones are.
"""

from __future__ import annotations

from typing import Any

import ray
from ray import tune
from ray.air.execution import PlacementGroupResourceManager
from ray.air.execution._internal import RayActorManager, TrackedActor
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution.class_cache import _ActorClassCache

from distill_tune.tuning.cluster.own_ray import is_own
from distill_tune.tuning.workers.tune_actor import TuneActor

_TUNES_OWN = "__"
"""Prefix of the keys that Tune adds to a configuration."""


class StandIn(tune.Trainable):
    """The trainable that Tune is given; never instantiated."""


class PlaceActors(RayActorManager):
    """Starts actors of one of our classes, whatever Tune asks for."""

    _class: Any
    _shared: dict[str, Any]

    @classmethod
    def of(cls, kind: type[TuneActor], **shared: Any) -> PlaceActors:
        """A manager of `kind` actors; `shared` is passed to each of them through the object store."""
        made = cls(resource_manager=PlacementGroupResourceManager())  # not in `__init__`: `cleanup` calls it again
        made._shared = {name: ray.put(value) for name, value in shared.items()}
        # A class from Tune's cache asks for a process with custom environment variables, which the workers that Ray
        # starts in advance lack. In our own Ray all have the driver's, so a trial starts a second earlier without it.
        made._class = ray.remote(kind) if is_own() else _ActorClassCache().get(kind)
        return made

    def add_actor(self, cls: Any, kwargs: dict[str, Any], resource_request: Any, **heard: Any) -> TrackedActor:
        """Start an actor."""
        given = {"config": _ours(kwargs["config"]), **self._shared}
        return super().add_actor(self._class, given, resource_request, **heard)

    def schedule_actor_task(
        self,
        tracked_actor: TrackedActor,
        method_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        *heard: Any,
        **named: Any,
    ) -> Any:
        """Call a method of an actor; only `reset` takes an argument."""
        given = (_ours(args[0]),) if args else ()
        self._tracked_actors_to_task_futures[tracked_actor] &= self._actor_task_events.get_futures()
        return super().schedule_actor_task(tracked_actor, method_name, given, None, *heard, **named)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        """Treat any error of Ray's about an actor as its death, but not a `RayTaskError`, which the actor raised."""
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def _ours(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith(_TUNES_OWN)}
