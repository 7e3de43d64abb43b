"""The actors of a search, which Ray Tune starts and which know nothing of it (`workers/tune_actor.py`).

Tune's `RayActorManager` starts an actor of the class that a trial is registered with, a `tune.Trainable`, and hands it
the trial's configuration among things of Tune's own: to read those, a process must load Ray Tune (Ray 2.60). This one
starts actors of ours, and hands them what our searcher has proposed. Two things are mended:

- An actor that Ray's memory monitor has killed, or whose result was lost with a node, ends Tune's loop with an error.
  Here it is an actor that has died.
- Of an actor that never ends its trial, as a place with lanes, all results are kept. Here it is what it is at work on.
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
"""What Tune adds to a configuration begins so."""


class StandIn(tune.Trainable):
    """What Tune is told that a trial is; never made."""


class PlaceActors(RayActorManager):
    """Starts actors of one class of ours, whatever Tune asks for."""

    _class: Any
    _shared: dict[str, Any]

    @classmethod
    def of(cls, kind: type[TuneActor], **shared: Any) -> PlaceActors:
        """`shared` goes to each of them, by way of the object store."""
        made = cls(resource_manager=PlacementGroupResourceManager())  # `cleanup` calls `__init__` once more, just so
        made._shared = {name: ray.put(value) for name, value in shared.items()}
        # A class from Tune's cache asks for a process with environment variables of its own, which the workers that
        # Ray starts beforehand have not. In a Ray of one's own all have the driver's; a trial begins a second earlier.
        made._class = ray.remote(kind) if is_own() else _ActorClassCache().get(kind)
        return made

    def add_actor(self, cls: Any, kwargs: dict[str, Any], resource_request: Any, **heard: Any) -> TrackedActor:
        """Start one."""
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
        """Call a method of one; only `reset` has anything to be given."""
        given = (_ours(args[0]),) if args else ()
        self._tracked_actors_to_task_futures[tracked_actor] &= self._actor_task_events.get_futures()
        return super().schedule_actor_task(tracked_actor, method_name, given, None, *heard, **named)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        """Whatever Ray says of an actor that does not answer, it has died; what one has raised is a `RayTaskError`."""
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def _ours(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith(_TUNES_OWN)}
