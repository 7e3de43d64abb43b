"""Confirmation: retrain the best trials from fresh seeds, then the winner and two baselines from further seeds.

The best of many noisy validation results looks better than it is (the winner's curse; Schneider et al., "Overtuning in
Hyperparameter Optimization", AutoML 2025, https://arxiv.org/abs/2506.19540), so the winner is chosen by the mean of its
re-trainings. The seeds that chose it among several also favour it: judged by them, it would beat an equal more often
than the 2.5 % that an interval allows (5 % of three equals, 8 % of ten: `benchmarks/verdicts.py`). So it is judged by
further seeds. The baselines share these seeds, its architecture and its optimizer: one has no teacher, the other uses
conventional distillation (T = 4, soft_weight = 0.9). If the space was also searched without a teacher, that search's
best trials are confirmed, chosen from and judged in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
"""Name of the winner of the search without a teacher."""
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


@dataclass(frozen=True)
class Confirmation:
    """What was confirmed."""

    winner: Candidate
    baselines: list[Candidate]
    candidates: list[Candidate] = field(default_factory=list)
    """Candidates that finished in enough of the seeds that chose the winner."""
    left_out: list[Candidate] = field(default_factory=list)
    """Baselines that share too few seeds with the winner for a comparison, which is paired by seed."""
    failed: list[Candidate] = field(default_factory=list)
    """Configurations that failed in at least one seed."""
    is_flattered: bool = False
    """Whether the winner is judged by the seeds that chose it, because it failed in the further ones."""


def confirm(
    candidates: list[Candidate],
    train: Callable[[list[Candidate]], None],
    objective: str,
    searched: Sequence[Candidate] = (),
    further: Sequence[int] = (),
    reserve: Iterable[Candidate] = (),
) -> Confirmation | None:
    """The winner by its mean over fresh seeds, and its baselines; None if too few trainings finished.

    A candidate that finished in fewer seeds than another ranks behind it; otherwise one that diverges in most seeds
    could win by the few that it survived. With several objectives, candidates do not compete directly, so this applies
    only to those that fail in at least half of the seeds. A winner that finishes in at most one of the further seeds is
    judged by the seeds that chose it, which flatters it.

    Args:
        candidates: the best trials.
        train: trains candidates in all of their seeds, and fills their `weights` and `reports`.
        objective: what the winner is best in.
        searched: the best trials of the search without a teacher; the best of them becomes a baseline.
        further: seeds to judge the winner by; empty if there was no choice, and so no luck in it.
        reserve: trained one by one as replacements if no candidate finished in two seeds.
    """
    train([*candidates, *searched])
    chosen, rival = _best_of(candidates, objective), _best_of(searched, objective)
    others = iter(reserve)
    while chosen is None and (another := next(others, None)) is not None:
        train([another])
        candidates = [*candidates, another]
        chosen = _best_of(candidates, objective)
    if chosen is None:
        return None
    judged = [chosen] if rival is None else [chosen, rival]
    again, baselines = _trained_again(judged, further, train)
    if again and again[0].is_confirmed:
        judged = again
    else:
        baselines = baselines_of(chosen)
        train(baselines)
    winner = judged[0]
    trained = [*candidates, *searched, *again, *baselines]
    baselines += [replace(rival, name=SEARCHED_NO_TEACHER) for rival in judged[1:]]
    is_left_out = {baseline.name: len(winner.seeds_shared_with(baseline)) < LEAST_SEEDS for baseline in baselines}
    return Confirmation(
        winner,
        [baseline for baseline in baselines if not is_left_out[baseline.name]],
        [candidate for candidate in candidates if candidate.is_confirmed],
        [baseline for baseline in baselines if is_left_out[baseline.name]],
        [each for each in trained if len(each.reports) < len(each.seeds)],
        is_flattered=bool(again) and winner is chosen,
    )


def _trained_again(
    chosen: list[Candidate], seeds: Sequence[int], train: Callable[[list[Candidate]], None]
) -> tuple[list[Candidate], list[Candidate]]:
    """The chosen ones and the first one's baselines, trained in `seeds`, which chose nothing; empty without seeds."""
    if not seeds:
        return [], []
    again = [candidate.again([*seeds]) for candidate in chosen]
    baselines = baselines_of(again[0])
    train([*again, *baselines])
    return again, baselines


def _best_of(candidates: Iterable[Candidate], objective: str) -> Candidate | None:
    able = (candidate for candidate in candidates if candidate.is_confirmed)
    return max(able, key=lambda each: (_endurance(each), each.merit(objective)), default=None)


def _endurance(candidate: Candidate) -> int:
    if len(candidate.config.search.objectives) > 1:
        return int(2 * len(candidate.reports) > len(candidate.seeds))
    return len(candidate.reports)


def candidates_of(space: Space, records: list[TrialRecord], seeds: list[int], search: str = "trial") -> list[Candidate]:
    """The trials as candidates, all in the same fresh seeds; `search` is the prefix of their names.

    It is `SEARCHED_NO_TEACHER` for those of the search without a teacher.
    """
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
