"""The winner against each baseline, paired over shared seeds and over test samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill_tune.evaluation.bootstrap import bootstrap_difference
from distill_tune.evaluation.intervals import p_value, paired_difference
from distill_tune.evaluation.significance import holm, pooled_mcnemar
from distill_tune.evaluation.verdict import judge
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import Examination


def verdict_of(winner: Candidate, baseline: str, examination: Examination) -> dict[str, Any]:
    """The verdict on winner against baseline, paired over shared seeds and over test samples."""
    ours, other = examination.by_candidate[winner.name], examination.by_candidate[baseline]
    shared = [seed for seed in ours.seeds if seed in other.seeds]
    mine, theirs = (each.correct[[each.seeds.index(seed) for seed in shared]] for each in (ours, other))
    groups = examination.groups
    difference = paired_difference(mine, theirs, groups=groups)
    drawn = bootstrap_difference(mine, theirs, groups=groups)
    return {
        "word": str(judge(difference)),
        "seeds": len(shared),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "bootstrap_low": drawn.low,
        "bootstrap_high": drawn.high,
        "interval_p_value": p_value(mine, theirs, groups),
        "p_value": pooled_mcnemar(mine, theirs),
    }


def verdicts_of(winner: Candidate, baselines: Sequence[str], examination: Examination) -> dict[str, Any]:
    """`verdict` of the summary: one per baseline, with p-values corrected for the number of distinct comparisons."""
    first = _first_of_each(baselines, examination)
    found = {name: verdict_of(winner, name, examination) for name in baselines}
    for key in ("interval_p_value", "p_value"):
        corrected = holm({name: verdict[key] for name, verdict in found.items() if first[name] == name})
        found = {name: {**verdict, f"{key}_holm": corrected[first[name]]} for name, verdict in found.items()}
    return {name: {**each, "same_as": None if first[name] == name else first[name]} for name, each in found.items()}


def _first_of_each(baselines: Sequence[str], examination: Examination) -> dict[str, str]:
    """Each baseline to the first with the same students, which the examination has measured once for all of them."""
    first = dict[int, str]()
    return {name: first.setdefault(id(examination.by_candidate[name]), name) for name in baselines}
