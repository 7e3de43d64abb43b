"""The methods that Ray Tune calls on the process of a trial, for actors that do not load Ray Tune.

Ray's base class for them, `tune.Trainable`, makes every process of a search load Ray Tune, and adds a dozen values to
each result. A place needs neither: its results are for our scheduler, and its checkpoints are written by its group
(`keeping.py`). `running/place_actors.py` makes Tune start such an actor instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class TuneActor(ABC):
    """Runs one of Tune's trials at a time; whatever these methods raise is a failure of that trial."""

    @abstractmethod
    def __init__(self, config: dict[str, Any], **shared: Any):
        """Get ready and start with a first trial.

        Args:
            config: what our searcher has proposed.
            shared: what all actors of a search receive.
        """

    @abstractmethod
    def train(self) -> dict[str, Any]:
        """Train until there is something to decide; the result goes to our scheduler. `done` ends the trial."""

    @abstractmethod
    def reset(self, config: dict[str, Any]) -> bool:
        """Switch to another trial; returns True, since Tune treats False as a failure without reporting it."""

    @abstractmethod
    def stop(self) -> None:
        """Give back everything that is held."""

    def get_auto_filled_metrics(self, debug_metrics_only: bool) -> dict[str, Any]:
        """Return nothing; Tune would like to know where a trial runs and since when."""
        return {}
