"""The rungs of asynchronous successive halving, stopping variant, as plain data.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020, https://arxiv.org/abs/1810.05934.
A trial that reaches a rung goes on if it is among the best 1/reduction_factor of all that have reached it so far; the
first ones to arrive have nothing to be measured against and go on. Free of Ray, so it can be tested, saved and read.
"""

from dataclasses import dataclass, field
from math import isfinite

from distill_tune.config.sections import SearchConfig


@dataclass
class Rung:
    """One decision point."""

    epochs: int
    scores: dict[str, float] = field(default_factory=dict)
    """Trial to its score when it arrived; larger is better."""

    def cutoff(self, reduction_factor: int) -> float | None:
        """The score below which an arriving trial is stopped; None while too few have arrived to say."""
        keep = len(self.scores) // reduction_factor
        return sorted(self.scores.values(), reverse=True)[keep - 1] if keep else None


class Rungs:
    """All rungs of a search: min_epochs, then times reduction_factor, below max_epochs."""

    def __init__(self, min_epochs: int, max_epochs: int, reduction_factor: int):
        self.reduction_factor = reduction_factor
        self.max_epochs = max_epochs
        self.rungs: list[Rung] = []
        epochs = min_epochs
        while epochs < max_epochs:
            self.rungs.append(Rung(epochs))
            epochs *= reduction_factor

    def goes_on(self, trial_id: str, epochs: int, score: float) -> bool:
        """Whether the trial trains beyond `epochs`; `score` is larger where better, and not finite where diverged."""
        if not isfinite(score):
            return False
        rung = next((rung for rung in self.rungs if rung.epochs == epochs), None)
        if rung is None:
            return True
        rung.scores[trial_id] = score
        cutoff = rung.cutoff(self.reduction_factor)
        return cutoff is None or score >= cutoff

    def is_rung(self, epochs: int) -> bool:
        """Whether trials are compared after so many epochs."""
        return any(rung.epochs == epochs for rung in self.rungs)


def rungs_of(search: SearchConfig) -> Rungs:
    """The rungs that `[search]` asks for; none with `scheduler = "none"`: then every trial trains to the end."""
    least = search.max_epochs if search.scheduler == "none" else search.min_epochs
    return Rungs(least, search.max_epochs, search.reduction_factor)
