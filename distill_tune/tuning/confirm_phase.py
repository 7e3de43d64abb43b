"""The confirmation of a search: its best trials trained again with fresh seeds, resuming any earlier session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import zip_longest

from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.interrupts import Interrupt
from distill_tune.tuning.planning.examination_time import examination_s
from distill_tune.tuning.planning.time_budget import Times, plan_confirmation
from distill_tune.tuning.search_context import SearchContext
from distill_tune.tuning.search_phase import SearchPhase
from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import Entry
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import SEARCHED_NO_TEACHER, Candidate, candidates_of, fresh_seeds
from distill_tune.tuning.verdict.confirmation import Confirmation, confirm
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext
from distill_tune.tuning.verdict.front import candidates

_RESERVE = 3
"""How many more candidates are tried if none finished; a failure common to all of them is no bad luck."""


class ConfirmPhase:
    """Plans, announces and runs a confirmation."""

    def __init__(
        self, context: SearchContext, times: Times, main: SearchPhase, reporter: Reporter, interrupt: Interrupt
    ):
        """`main` is the search to confirm."""
        self._context, self._claim, self._times = context, context.claim, times
        self._space, self._config = context.fitted.space, context.fitted.space.config
        self._main, self._reporter, self._interrupt = main, reporter, interrupt
        self.ledger = Ledger(main.ledger.objective)
        """Its training runs, once it has begun."""

    def run(self, beside: SearchPhase | None) -> Confirmation | None:
        """Train the best of the search and of the one `beside` it, then the winner's baselines.

        Returns None if there is nothing to confirm, or no run finished.

        Raises:
            DistillTuneError: the confirmation could not be finished.
        """
        best = candidates(self._main.ledger)
        if not best:
            return None
        plan = self._claim.history.plan or self._plan(best, beside)
        self._claim.logbook.write(Entry.CONFIRMING, plan=asdict(plan))
        self._announce(plan)
        return self._confirmed(best, plan, beside)

    def _announce(self, plan: ConfirmationPlan) -> None:
        if self._main.progress is not None:
            self._main.progress.begin("Confirming", plan.num_runs)
        whom = f"the best {plan.top}" if len(self._main.ledger.objectives) == 1 else f"{plan.top}, the front first"
        of_each, winner = (" of each search", "both winners") if plan.searches > 1 else ("", "the winner")
        seeds = f"in {plan.seeds} fresh seeds each"
        then = f" {seeds}; then {winner} and two baselines in {plan.seeds} further ones"
        self._reporter.say(
            "Confirming", f"{whom}{of_each}" + (then if plan.chooses else f", and two baselines, {seeds}")
        )

    def _confirmed(
        self, best: list[TrialRecord], plan: ConfirmationPlan, beside: SearchPhase | None
    ) -> Confirmation | None:
        history = self._claim.history
        fresh = fresh_seeds(self._config, 2 * plan.seeds, history.rounds)
        seeds, further = fresh[: plan.seeds], fresh[plan.seeds :] if plan.chooses else []
        searched = [] if beside is None else self._searched_without_teacher(beside, plan, seeds)
        self.ledger = Ledger(self._main.ledger.objective, self._main.ledger.watchers, self._reporter.tell)
        with ConfirmationPool(
            min(self._context.room, plan.num_runs),
            self._worker_context(),
            self._context.preparation.prepared,
            self.ledger,
            Budget(plan.num_runs, interrupt=self._interrupt),
            history.confirmations,
        ) as pool:
            planned = candidates_of(self._space, best[: plan.top], seeds)
            reserve = self._reserve(best[plan.top : plan.top + _RESERVE], seeds)
            return confirm(planned, pool.train, self._main.ledger.objective, searched, further, reserve)

    def _worker_context(self) -> WorkerContext:
        return WorkerContext(
            self._config.resources,
            self._claim.folder,
            self._main.lanes,
            self._config.search.retries,
            self._context.files,
        )

    def _reserve(self, best: list[TrialRecord], seeds: list[int]) -> Iterator[Candidate]:
        """The next best candidates, each only if none before it could be confirmed."""
        for record in best:
            if self._interrupt.requested:
                return
            self._reporter.tell(
                f"none of these came to its end in two seeds; trial {record.trial_id} is confirmed next"
            )
            yield from candidates_of(self._space, [record], seeds)

    def _plan(self, best: list[TrialRecord], beside: SearchPhase | None) -> ConfirmationPlan:
        others = [] if beside is None else _best_without_teacher(beside)
        paired_s = zip_longest(map(self._run_s, best), map(self._run_s, others[: len(best)]), fillvalue=0.0)
        runs_s = [max(pair_s) for pair_s in paired_s]
        if self._times.total_s is None:
            return plan_confirmation(self._config, runs_s, None, self._context.room)
        used_s = sum(phase.used_s for phase in (self._main, beside) if phase is not None)
        each_s = examination_s(self._space.at(best[0].values), self._context.preparation.dataset)
        left_s = self._times.total_s - used_s
        return plan_confirmation(self._config, runs_s, left_s, self._context.room, each_s)

    def _run_s(self, record: TrialRecord) -> float:
        """Seconds of a full training of this trial, at the pace that it had in the search."""
        run_s = self._config.search.max_epochs * record.training_s / record.epochs
        folds = self._config.data.folds
        return run_s * folds / (folds - 1) if folds else run_s  # a student on all folds is trained too

    def _searched_without_teacher(
        self, search: SearchPhase, plan: ConfirmationPlan, seeds: list[int]
    ) -> list[Candidate]:
        """The best of the search without a teacher, chosen like those of the search itself."""
        best = _best_without_teacher(search)
        if not best:
            self._reporter.tell(
                "warning: no trial of the search without a teacher could be used; nothing is said of it"
            )
        return candidates_of(search.space, best[: plan.top], seeds, SEARCHED_NO_TEACHER)


def _best_without_teacher(search: SearchPhase) -> list[TrialRecord]:
    """The trials of that search to confirm, in order of priority; none if it gave up."""
    return [] if search.ended_by is Reason.FAILURES else candidates(search.ledger)
