"""Studies whose proposals get results without a search."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from distill_tune.config import Space
from distill_tune.tuning.proposals.study import Proposal, Study
from distill_tune.tuning.state.records import Status, TrialRecord

NUMBERS: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {"family": "mlp"},
    "optim": {"learning_rate": {"log": [1e-4, 1e-1]}, "weight_decay": {"log": [1e-6, 1e-2]}},
}


def space_with(**search: Any) -> Space:
    return Space.parse({**NUMBERS, "search": search})


def known_of(proposal: Proposal) -> TrialRecord:
    """A trial after one epoch: a rate closer to 0.01 is better."""
    score = 1 - abs(proposal.values["optim.learning_rate"] - 0.01)
    reports = [{"epoch": 1, "val/accuracy": score, "val/loss": score}]
    return TrialRecord(proposal.number, proposal.trial_id, proposal.values, reports=reports)


def grown(study: Study, count: int, ends: Sequence[Status] = (Status.COMPLETED,)) -> list[dict[str, Any]]:
    """Proposals of a study that is told each result."""
    proposals = []
    for status, _ in zip(cycle(ends), range(count), strict=False):
        proposal = study.ask()
        if status is Status.INFEASIBLE:
            study.tell(TrialRecord(proposal.number, "t", proposal.values), status, excess=0.5)
        elif status is Status.PAUSED:
            study.note(known_of(proposal))
        else:
            study.tell(known_of(proposal), status)
        proposals.append(proposal.values)
    return proposals
