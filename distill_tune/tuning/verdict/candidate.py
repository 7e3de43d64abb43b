"""Candidates of a confirmation: the best trials in fresh seeds, and the baselines of the winner.

The baselines share the winner's seeds, its architecture and its optimizer: one has no teacher, the other uses
conventional distillation (T = 4, soft_weight = 0.9).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from statistics import fmean
from typing import Any

from distill_tune.config import Config, Space, tables_of
from distill_tune.config.existing import OF_THE_TEACHERS_WEIGHTS
from distill_tune.config.messages import dotted
from distill_tune.config.searching import LEAST_SEEDS
from distill_tune.config.validate import validate
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.tuning.state.records import CONFIRMATION, Report, TrialRecord, merit_of

DEFAULT_DISTILLATION = {"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9}
SEARCHED_NO_TEACHER = "searched_no_teacher"
"""Name of the winner of the search without a teacher, and prefix of its candidates' names."""
_SEED_OFFSET = 1000
"""Offset from the seeds of the search, or of the previous confirmation, so that no trial has seen the seeds."""


@dataclass
class Candidate:
    """One configuration over several seeds."""

    name: str
    """"trial-0007", "no_teacher", "default_distillation", or "searched_no_teacher" (from the search without a teacher).
    """
    config: Config
    seeds: list[int]
    source: TrialRecord
    """The trial it comes from; for a baseline, that of the winner it is compared with."""
    changes: dict[str, Any] = field(default_factory=dict)
    """For a baseline: the values that differ, by dotted name; None removes a value."""
    weights: dict[int, Path] = field(default_factory=dict)
    """Seed to the trained student's weights."""
    reports: dict[int, Report] = field(default_factory=dict)
    """Seed to last report."""
    curves: dict[int, list[Report]] = field(default_factory=dict)
    """Seed to the reports of all epochs."""

    def again(self, seeds: list[int]) -> Candidate:
        """The same configuration, untrained, in other seeds."""
        return replace(self, seeds=seeds, weights={}, reports={}, curves={})

    def take(self, seed: int, weights: Path, curve: list[Report]) -> None:
        """Store the finished training of a seed."""
        self.weights[seed], self.curves[seed], self.reports[seed] = weights, curve, curve[-1]

    @property
    def is_confirmed(self) -> bool:
        """Whether it finished in at least two seeds, the minimum for an interval."""
        return len(self.reports) >= LEAST_SEEDS

    def seeds_shared_with(self, other: Candidate) -> list[int]:
        """Seeds in which both finished."""
        return [seed for seed in self.reports if seed in other.reports]

    def run_name(self, seed: int) -> str:
        """Name of its training in a seed."""
        return f"{CONFIRMATION}{self.name}-seed{seed}"

    def merit(self, objective: str) -> tuple[float, float]:
        """The key by which candidates are ranked."""
        return merit_of({metric: self.mean(metric) for metric in (objective, "val/loss")}, objective)

    def mean(self, metric: str) -> float:
        """Mean over the finished seeds; independent of their order to the last digit."""
        return fmean(report[metric] for report in self.reports.values())

    def mean_after(self, epoch: int, metric: str) -> float | None:
        """Mean over the same seeds after an earlier epoch; None if one of them lacks that metric there."""
        reports = [report for curve in self.curves.values() for report in curve if report["epoch"] == epoch]
        found = [report[metric] for report in reports if metric in report]
        return fmean(found) if len(found) == len(self.reports) else None


def candidates_of(space: Space, records: list[TrialRecord], seeds: list[int], search: str = "trial") -> list[Candidate]:
    """The trials as candidates, all in the same fresh seeds; `search` is the prefix of their names."""
    return [Candidate(f"{search}-{r.trial_id}", space.at(r.values), seeds, r) for r in records]


def baselines_of(winner: Candidate) -> list[Candidate]:
    """The winner's student and optimizer in its seeds, without a teacher and with default distillation.

    Both use PyTorch's default initialisation, without the teacher's weights or norm, which neither term would usually
    include. With several teachers they use the mix that the file sets for all trials, not the one that was found.
    """
    losses: dict[str, dict[str, Any]] = {"no_teacher": {"kind": "labels"}, "default_distillation": DEFAULT_DISTILLATION}
    tables, anew = _begun_anew(winner)
    anew |= _without(winner, "loss.")
    return [
        Candidate(
            name,
            validate({**tables, "loss": loss}),
            winner.seeds,
            winner.source,
            anew | {f"loss.{key}": value for key, value in loss.items()},
        )
        for name, loss in losses.items()
    ]


def _begun_anew(winner: Candidate) -> tuple[dict[str, Any], dict[str, Any]]:
    """The winner's tables without a found mix or anything from the teacher's weights, and the changes this makes."""
    config = winner.config
    tables, changes = tables_of(config), dict[str, Any]()
    for name in [name for name in winner.source.values if name.startswith("teacher.")]:
        *outer, key = name.split(".")
        reduce(dict.__getitem__, outer, tables).pop(key)
        changes[name] = None
    if Initialisation.of(config.student).needs_teacher:
        own = tables["student"]
        changes["student.init"] = own["init"] = "default"
        changes |= _without(winner, f"{dotted(('student', config.student.init))}.")
        own.pop(config.student.init, None)
    for section, key in OF_THE_TEACHERS_WEIGHTS:
        if tables.get(section, {}).pop(key, None) is not None:
            changes[f"{section}.{key}"] = None
    return tables, changes


def _without(winner: Candidate, prefix: str) -> dict[str, None]:
    """Changes that remove the winner's values whose names have this prefix."""
    return {name: None for name in winner.source.values if name.startswith(prefix)}


def fresh_seeds(config: Config, count: int, confirmations: int = 0) -> list[int]:
    """Seeds that neither the search nor any of its earlier confirmations has used."""
    first = config.search.seed + _SEED_OFFSET * (1 + confirmations)
    return [(first + i) % 2**32 for i in range(count)]


def confirmation_record(candidate: Candidate, seed: int) -> TrialRecord:
    """The record of one training of a candidate."""
    source = candidate.source
    values = {**source.values, **candidate.changes}
    return TrialRecord(
        number=-1,
        trial_id=candidate.run_name(seed),
        values={name: value for name, value in values.items() if value is not None},
        group=_group_of(candidate),
        parameters=source.parameters,
        multiply_adds=source.multiply_adds,
        latency_ms=source.latency_ms,
    )


def _group_of(candidate: Candidate) -> str:
    """Group name shared by exactly its runs: not by those in further seeds, nor by another winner's baselines."""
    source = candidate.source.trial_id
    name = candidate.name if candidate.name.endswith(source) else f"{candidate.name}-of-{source}"
    return f"{CONFIRMATION}{name}-seeds-{candidate.seeds[0]}"
