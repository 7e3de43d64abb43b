"""The front of a search with several objectives: completed trials that no other completed trial dominates.

Only completed trials have comparable values: others were stopped early and have used less of the budget. Plain Optuna
calls these the study's `best_trials`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from distill_tune.config import Space, tables_of
from distill_tune.config.searching import COSTS
from distill_tune.tuning.dominance import on_front, spread
from distill_tune.tuning.showing.wording import amount
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord, merit_of
from distill_tune.tuning.verdict.candidate import Candidate


def front_of(ledger: Ledger) -> list[TrialRecord]:
    """The trials on the front, best by the first objective first."""
    completed = ledger.with_status(Status.COMPLETED)
    is_on = on_front([ledger.scores(record, record.last) for record in completed])
    front = [record for record, free in zip(completed, is_on, strict=True) if free]
    return sorted(front, key=lambda record: merit_of(record.last, ledger.objective), reverse=True)


def candidates(ledger: Ledger) -> list[TrialRecord]:
    """The trials to confirm, without duplicate configurations, in order of priority: by rank with one objective.

    With several, the best by the first objective comes first, then the front from its other end inward, then the rest:
    the first few are spread over the front, however few there is time for.
    """
    ranked = distinct(ledger.ranked())
    if len(ledger.objectives) == 1 or not ranked:
        return ranked
    front = distinct(front_of(ledger))
    order = [front[i] for i in spread([ledger.scores(record, record.last) for record in front], len(front))]
    leads = not order or ledger.scores(ranked[0], ranked[0].last)[0] > ledger.scores(order[0], order[0].last)[0]
    if leads:  # a trial cut short by time may be better than all completed ones
        order = [ranked[0], *order]
    return distinct([*order, *ranked])


def distinct(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The first trial with each set of values: all trials train in one seed, so equal values give the same result."""
    firsts = dict[str, TrialRecord]()
    for record in records:
        firsts.setdefault(json.dumps(record.values, sort_keys=True), record)
    return list(firsts.values())


def front_in_words(ledger: Ledger) -> str:
    """E.g. "the front: 5 students, val/accuracy 0.9720 to 0.8100, parameters 2,410 to 82"."""
    front = front_of(ledger)
    if not front:
        return "the front is empty: no trial came to its end"
    of_each = (f"{name} {_ends([r.value_of(name, r.last) for r in front])}" for name in ledger.objectives)
    return f"the front: {len(front)} student{'s' * (len(front) > 1)}, {', '.join(of_each)}"


def _ends(values: Sequence[float]) -> str:
    """E.g. "0.97 to 0.81": both extremes, starting with the one nearer to the first value."""
    low, high = min(values), max(values)
    ends = (high, low) if high - values[0] <= values[0] - low else (low, high)
    return " to ".join(map(amount, ends[: len(values)]))


def front_rows(ledger: Ledger, space: Space, confirmed: Sequence[Candidate]) -> list[dict[str, Any]]:
    """`front` of the summary."""
    by_trial = {candidate.source.trial_id: candidate for candidate in confirmed}
    return [
        {
            "trial": record.number,
            "config": tables_of(space.at(record.values)),
            "values": {
                name: getattr(record, name) if name in COSTS else record.last[name] for name in ledger.objectives
            },
            "parameters": record.parameters,
            "multiply_adds": record.multiply_adds,
            "confirmed": _means(by_trial.get(record.trial_id), ledger.objectives),
        }
        for record in front_of(ledger)
    ]


def _means(candidate: Candidate | None, objectives: Sequence[str]) -> dict[str, Any] | None:
    if candidate is None:
        return None
    means = {name: candidate.mean(name) for name in objectives if name not in COSTS}
    return {"seeds": len(candidate.reports), "values": means}
