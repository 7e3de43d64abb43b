"""Confirmation: retrain the best trials from fresh seeds, then the winner and two baselines from further seeds.

The best of many noisy validation results looks better than it is (the winner's curse; Schneider et al., "Overtuning in
Hyperparameter Optimization", AutoML 2025, https://arxiv.org/abs/2506.19540), so the winner is chosen by the mean of its
re-trainings. The seeds that chose it among several also favour it: judged by them, it would beat an equal more often
than the 2.5 % that an interval allows (5 % of three equals, 8 % of ten: `benchmarks/verdicts.py`). So it is judged by
further seeds, in which its baselines are trained too. If the space was also searched without a teacher, that search's
best trials are confirmed, chosen from and judged in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from distill_tune.config.searching import LEAST_SEEDS
from distill_tune.tuning.verdict.candidate import SEARCHED_NO_TEACHER, Candidate, baselines_of

Train = Callable[[list[Candidate]], None]
"""Trains candidates in all of their seeds, and fills their `weights` and `reports`."""


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


@dataclass(frozen=True)
class _Contest:
    """A winner and all that it is compared with, in the same seeds."""

    winner: Candidate
    rival: Candidate | None
    """The winner of the search without a teacher."""
    baselines: list[Candidate]

    @classmethod
    def of(cls, winner: Candidate, rival: Candidate | None) -> _Contest:
        """With baselines that are not trained yet."""
        return cls(winner, rival, baselines_of(winner))

    def again(self, seeds: Sequence[int]) -> _Contest:
        """The same in other seeds, none of it trained."""
        return _Contest.of(self.winner.again([*seeds]), self.rival and self.rival.again([*seeds]))

    @property
    def winners(self) -> list[Candidate]:
        """That of each search."""
        return [self.winner] if self.rival is None else [self.winner, self.rival]


def confirm(
    candidates: list[Candidate],
    train: Train,
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
        train: trains candidates.
        objective: what the winner is best in.
        searched: the best trials of the search without a teacher; the best of them becomes a baseline.
        further: seeds to judge the winner by; empty if there was no choice, and so no luck in it.
        reserve: trained one by one as replacements if no candidate finished in two seeds.
    """
    train([*candidates, *searched])
    candidates = _with_reserve(candidates, reserve, train)
    chosen = _choose(candidates, searched, objective)
    if chosen is None:
        return None
    tried = [*candidates, *searched]
    if further:  # which had no part in the choice
        again = chosen.again(further)
        train([*again.winners, *again.baselines])
        tried += again.winners
        if again.winner.is_confirmed:
            return _outcome(again, candidates, tried)
    train(chosen.baselines)
    return _outcome(chosen, candidates, tried, is_flattered=bool(further))


def _with_reserve(candidates: list[Candidate], reserve: Iterable[Candidate], train: Train) -> list[Candidate]:
    """The candidates and, as long as none of them is confirmed, one more at a time."""
    tried, others = [*candidates], iter(reserve)
    while not any(each.is_confirmed for each in tried) and (another := next(others, None)) is not None:
        train([another])
        tried.append(another)
    return tried


def _choose(candidates: Iterable[Candidate], searched: Iterable[Candidate], objective: str) -> _Contest | None:
    """The best of each search in the seeds that they share; None if no candidate is confirmed."""
    winner = _best_of(candidates, objective)
    return None if winner is None else _Contest.of(winner, _best_of(searched, objective))


def _best_of(candidates: Iterable[Candidate], objective: str) -> Candidate | None:
    able = (candidate for candidate in candidates if candidate.is_confirmed)
    return max(able, key=lambda each: (_endurance(each), each.merit(objective)), default=None)


def _endurance(candidate: Candidate) -> int:
    if len(candidate.config.search.objectives) > 1:
        return int(2 * len(candidate.reports) > len(candidate.seeds))
    return len(candidate.reports)


def _outcome(
    judged: _Contest, candidates: list[Candidate], tried: list[Candidate], is_flattered: bool = False
) -> Confirmation:
    """What is known once all is trained; `tried` are all that may have failed, besides the contest's baselines."""
    baselines = [*judged.baselines]
    if judged.rival is not None:
        baselines.append(replace(judged.rival, name=SEARCHED_NO_TEACHER))
    is_paired = {each.name: len(judged.winner.seeds_shared_with(each)) >= LEAST_SEEDS for each in baselines}
    return Confirmation(
        judged.winner,
        [baseline for baseline in baselines if is_paired[baseline.name]],
        [candidate for candidate in candidates if candidate.is_confirmed],
        [baseline for baseline in baselines if not is_paired[baseline.name]],
        [each for each in [*tried, *judged.baselines] if len(each.reports) < len(each.seeds)],
        is_flattered,
    )
