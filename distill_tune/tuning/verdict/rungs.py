"""How useful the rungs were: how well the order at each agrees with the order at the end.

A low rung can favour the wrong configurations: a low temperature learns faster at first, and a schedule's early epochs
say little about its late ones (`min_epochs` is the cure). Only completed trials can be compared, and these are the ones
that the rungs let pass, which makes the correlation smaller than it would be over all trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status

_LEAST = 5
"""Minimum number of compared trials for a rank correlation."""
_ENOUGH = 20
_WEAK = 0.2


def rung_report(rungs: Iterable[Rung], ledger: Ledger) -> list[dict[str, Any]]:
    """`rungs` of the summary: epochs, count, cutoff, rank correlation with the final result, number of trials compared.

    A custom judge may have scores that JSON cannot hold.
    """
    final = {
        record.trial_id: ledger.sign * record.last[ledger.objective]
        for record in ledger.records.values()
        if record.status is Status.COMPLETED
    }
    return [
        {
            "epochs": int(rung.epochs),
            "count": len(rung.scores),
            "cutoff": None if rung.cutoff is None else _known(ledger.sign * float(rung.cutoff)),
            **_compared(rung, final),
        }
        for rung in rungs
    ]


def _compared(rung: Rung, final: dict[str, float]) -> dict[str, Any]:
    both = [(score, final[trial_id]) for trial_id, score in rung.scores.items() if trial_id in final]
    early, late = zip(*both, strict=True) if both else ((), ())
    varies = len(set(early)) > 1 and len(set(late)) > 1
    correlation = _rank_correlation(early, late) if len(both) >= _LEAST and varies else None
    return {"rank_correlation": correlation, "compared": len(both)}


def _rank_correlation(early: Sequence[float], late: Sequence[float]) -> float | None:
    from scipy.stats import spearmanr  # here: it takes half a second to load, and is needed only at the end of a search

    return _known(float(spearmanr(early, late).statistic))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def warning_of(report: list[dict[str, Any]]) -> str:
    """A warning about the lowest rung whose order says little of the final one; empty if there is none."""
    for rung in report:
        correlation = rung["rank_correlation"]
        if correlation is not None and rung["compared"] >= _ENOUGH and correlation < _WEAK:
            return (
                f"warning: the order after epoch {rung['epochs']} says little of the final one (rank correlation "
                f"{correlation:.2f} over {rung['compared']} trials); raise search.min_epochs"
            )
    return ""
