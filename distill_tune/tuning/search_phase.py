"""A search in its own folder, resuming any earlier session: study, logbook, rungs, budget, panels.

A session has one and, if `confirm.baseline_search` is set, a second one in the folder `baseline/`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import BASELINE, LOGS, write_search_toml
from distill_tune.export.trials_table import write_trials
from distill_tune.tuning.deciding.budget import SENTENCES, Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.proposals.warm_start import known_of_others
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.schedulers import Scheduler
from distill_tune.tuning.showing import display
from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.showing.progress import ProgressWatcher
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.ledger import Ledger, Watcher
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry
from distill_tune.tuning.verdict import summary
from distill_tune.tuning.verdict.front import front_in_words, front_of
from distill_tune.tuning.verdict.remarks import failed_in_words, refusals_in_words
from distill_tune.tuning.verdict.rungs import rung_report, warning_of
from distill_tune.tuning.workers.checkpoints import CheckpointSweeper, drop_checkpoints_of_others
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.trial import TrialContext


class SearchPhase:
    """One search; it is run once, and its ledger then has its trials."""

    def __init__(self, claim: Claim, fitted: Fitted, budget: Budget, places: int, reporter: Reporter):
        """`budget` is this search's own, and includes what earlier sessions have spent of it."""
        self.claim, self.fitted, self.budget, self.places, self.reporter = claim, fitted, budget, places, reporter
        self.space = fitted.space
        search, lanes = self.space.config.search, self.space.config.resources.lanes
        assert lanes != "auto", "settled before a search"
        self.lanes = min(lanes, -(-budget.trials // places))
        """Lanes per place; no more than there are trials for."""
        self.ledger = Ledger(search.objectives[0], say=reporter.tell, further=search.objectives[1:])
        self.judge = Scheduler.judge_of(search)
        self.ended_by: Reason | None = None
        """Why the search was over, if it was."""
        self.progress: ProgressWatcher | None = None
        self.conductor: Conductor | None = None
        self.used_s = budget.spent_s
        """Seconds of the time budget used by all sessions together."""
        self.learned = 0
        """How many trials of other searches this one began with."""

    def run(self, prepared: Prepared, files: Files, tensorboard: TensorBoardWatcher, title: str = "Searching") -> None:
        """Search until the budget is used up or the user stops it; every trial has then ended in the ledger.

        Raises:
            DistillTuneError: the folder cannot be written.
        """
        history = self.claim.history
        self.ledger.watchers += self._watchers(tensorboard, title)
        self.conductor = self._take_up()
        try:
            if history.ended_by is None:
                self.claim.logbook.write(Entry.SEARCHING, places=self.places)
                context = TrialContext(self.space, prepared, self.claim.folder, files, self.lanes)
                run_search(self.conductor, context, self.reporter.tell)
                self.used_s = self.budget.used_s
        finally:
            self.write_trials()
        self._say_how_it_ended(self.conductor)

    def _take_up(self) -> Conductor:
        folder, history, logbook = self.claim.folder, self.claim.history, self.claim.logbook
        drop_checkpoints_of_others(folder, {*history.records, *history.confirmations})
        study = Study(folder / JOURNAL, folder.name, self.space, history.study_bytes)
        logbook.study_bytes = lambda: study.num_bytes
        if not history.study_bytes:
            study.learn(known_of_others(self.space, self.reporter.tell))
        self.learned = study.num_learned
        conductor = Conductor(
            study,
            self.judge,
            self.ledger,
            self.budget,
            self.fitted.limits,
            self.places * self.lanes,
            deque(self.fitted.first_settings_beside(self.learned)),
            self.fitted.smallest,
        )
        conductor.take_up(list(history.records.values()))
        return conductor

    def _say_how_it_ended(self, conductor: Conductor) -> None:
        """Say why the search is over, and record it unless the search may be resumed for more trials."""
        if self.claim.history.ended_by is not None:
            self.ended_by = Reason(self.claim.history.ended_by)
            return
        ended_by = self.budget.ended_by
        assert ended_by is not None, "every search ends for a reason"
        why = conductor.why_exhausted or conductor.why
        if self.progress is not None:
            self.progress.close()
        if ended_by is not Reason.TRIALS:
            self.reporter.tell(f"the search ends: {SENTENCES[ended_by]}" + (f" ({why})" if why else ""))
        if ended_by is Reason.STORAGE:
            way_out = "" if "--resume" in why else "; make room and go on with --resume"
            raise DistillTuneError(f"{self.claim.folder}: {why}{way_out}.")
        if ended_by is Reason.USER:
            return
        self.ended_by = ended_by
        # If all trials of the main search failed, FAILED follows and undoes this; a baseline search stays ended.
        self.claim.logbook.write(Entry.SEARCHED, ended_by=str(ended_by), time=self.space.config.search.time)
        if len(self.ledger.objectives) > 1:
            self.reporter.tell(front_in_words(self.ledger))
        self.reporter.tell(*refusals_in_words(self.ledger), *failed_in_words(self.ledger, self.claim.folder / LOGS))
        if warning := warning_of(rung_report(self.judge.rungs, self.ledger)):
            self.reporter.tell(warning)

    def leave_the_rest(self) -> None:
        """Leave running trials as they are."""
        if self.conductor is not None:
            self.conductor.leave_the_rest()
            self.write_trials()

    def write_trials(self) -> None:
        """Write `trials.parquet`."""
        rows = [summary.row_of(record) for record in self.ledger.records.values()]
        if len(self.ledger.objectives) > 1:
            front = {record.number for record in front_of(self.ledger)}
            rows = [row | {"on_front": row["number"] in front} for row in rows]
        try:
            write_trials(self.claim.folder / "trials.parquet", rows)
        except OSError:
            if self.budget.ended_by is not Reason.STORAGE:  # else there is no room for it either, as already reported
                raise

    def _watchers(self, tensorboard: TensorBoardWatcher, title: str) -> list[Watcher]:
        watchers: list[Watcher] = [self.claim.logbook, tensorboard, CheckpointSweeper(self.claim.folder)]
        if not self.reporter.quiet:
            self.progress = ProgressWatcher(
                self.reporter.console,
                self.ledger.objective,
                self.budget.trials,
                lambda: self.budget.left_s,
                lambda: display.rung_views(self.judge.rungs, self.ledger.sign),
                title,
                further=self.ledger.objectives[1:],
            )
            watchers.append(self.progress)
        return watchers


def claim_baseline(claim: Claim, fitted: Fitted, trials: int) -> tuple[Claim, Fitted]:
    """The claim to `baseline/` for as many trials as the search itself has trained, and the space with that number.

    An earlier session's baseline search is resumed, and extended if the search has been extended since.
    """
    folder, command = claim.folder / BASELINE, claim.command
    fitted = replace(fitted, space=fitted.space.with_fixed("search", "trials", trials))
    is_new = not (folder / LOGBOOK).exists() or not (folder / LOGBOOK).stat().st_size
    baseline = Claim.of_new(folder, fitted.space, command) if is_new else Claim.of_old(folder, command)
    for _ in range(claim.history.extensions - baseline.history.extensions):
        baseline.logbook.write(Entry.EXTENDED, trials=trials)
        baseline.history.extend()
    write_search_toml(folder, fitted.space, command)
    fitted.limits.know_latencies(fitted.space, baseline.history.records.values())
    return baseline, fitted
