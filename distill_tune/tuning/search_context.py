"""What a session starts from: the claimed folder, the fitted space, prepared data and teacher, and places to train."""

from __future__ import annotations

from dataclasses import dataclass, replace

from distill_tune.distillation.preparation.prepare import Preparation
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.workers.files import HERE, Files


@dataclass(frozen=True)
class Ready:
    """The state before Ray has started and, for a new search, before anything has been written."""

    fitted: Fitted
    preparation: Preparation
    claim: Claim | None = None
    """The claim to a resumed search, which is made first; a new search gets its folder last."""


@dataclass(frozen=True)
class SearchContext:
    """The state after every check that can refuse the search."""

    claim: Claim
    fitted: Fitted
    preparation: Preparation
    room: int
    """How many training runs fit at a time."""
    prepared_s: float
    """When preparation ended, in seconds since 1970."""
    files: Files = HERE
    """The folder's files, for workers on any node."""

    @property
    def places(self) -> int:
        """How many trials train at a time: no more than there are."""
        return min(self.room, self.fitted.space.config.search.trials)

    def linked(self) -> SearchContext:
        """The context with data and teacher outputs linked into the search's own folder.

        Nothing is read from the shared cache afterwards: another search that is refused may delete what it has made.
        """
        prepared = self.claim.link(self.preparation.prepared)
        dataset = replace(self.preparation.dataset, folder=prepared.data_folder)
        return replace(self, preparation=replace(self.preparation, prepared=prepared, dataset=dataset))
