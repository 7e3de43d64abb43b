"""What a session stands on: its folder, what was found to fit, data and teacher that are ready, and places to train."""

from __future__ import annotations

from dataclasses import dataclass, replace

from distill_tune.distillation.preparation.prepare import Preparation
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.workers.files import HERE, Files


@dataclass(frozen=True)
class Ready:
    """Before Ray has started and, for a new search, before anything has been written."""

    fitted: Fitted
    preparation: Preparation
    claim: Claim | None = None
    """The claim to a search that is taken up, which comes first; a new one gets its folder last."""


@dataclass(frozen=True)
class SearchContext:
    """After everything that can be refused."""

    claim: Claim
    fitted: Fitted
    preparation: Preparation
    room: int
    """For so many trainings at a time."""
    prepared_s: float
    """When preparation had ended, in seconds since 1970."""
    files: Files = HERE
    """The folder's, for workers on whatever node."""

    @property
    def places(self) -> int:
        """For so many trials at a time: no more than there are."""
        return min(self.room, self.fitted.space.config.search.trials)

    def linked(self) -> SearchContext:
        """With data and teacher's outputs where the search's own folder has them."""
        prepared = self.claim.link(self.preparation.prepared)
        return replace(self, preparation=replace(self.preparation, prepared=prepared))
