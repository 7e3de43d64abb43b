"""The methods that Ray Tune calls on the process of a trial, for actors that do not load Ray Tune.

Ray's own base class for it, `tune.Trainable`, has every process of a search load Ray Tune, and fills each result with a
dozen values of its own. Nothing of either is used in a place: its results are for our scheduler, and its checkpoints
are its group's (`keeping.py`). `running/place_actors.py` has Tune start such an actor instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class TuneActor(ABC):
    """Has one of Tune's trials at a time; whatever these methods raise is a failure of that trial."""

    @abstractmethod
    def __init__(self, config: dict[str, Any], **shared: Any):
        """Make everything ready and take up a first trial.

        Args:
            config: what our searcher has proposed.
            shared: what all actors of a search are given.
        """

    @abstractmethod
    def train(self) -> dict[str, Any]:
        """Work until there is something to decide on; what is returned goes to our scheduler. `done` ends the trial."""

    @abstractmethod
    def reset(self, config: dict[str, Any]) -> bool:
        """Take up another trial; True, since a False is a failure that Tune tells nobody of."""

    @abstractmethod
    def stop(self) -> None:
        """Give back everything that is held."""

    def get_auto_filled_metrics(self, debug_metrics_only: bool) -> dict[str, Any]:
        """Nothing; Tune asks where a trial is and since when."""
        return {}
