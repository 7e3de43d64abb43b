"""Candidates of a confirmation, and watchers that disturb it."""

from contextlib import suppress

import psutil
from seen_processes import commands

from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate


class Killer(Watcher):
    """Kills the workers once, at the first report of a group."""

    def __init__(self, group: str = ""):
        self.group, self.killed = group, 0

    def trial_reported(self, record: TrialRecord) -> None:
        if self.killed or not record.group.startswith(self.group):
            return
        workers = [process for process, command in commands().items() if "ray::ConfirmationWorker" in command]
        self.killed = len(workers)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def of_400_epochs(winner: Candidate, name: str) -> Candidate:
    """Long enough to be killed midway."""
    search = winner.config.search.model_copy(update={"max_epochs": 400})
    return Candidate(name, winner.config.model_copy(update={"search": search}), winner.seeds[:1], winner.source)


def deadly(winner: Candidate) -> Candidate:
    """Always kills its process."""
    return _losing(winner, "Deadly", "deadly")


def asked_to_end(winner: Candidate) -> Candidate:
    """Its first process gets SIGTERM while it trains."""
    return _losing(winner, "AskedToEnd", "asked")


def _losing(winner: Candidate, kind: str, name: str) -> Candidate:
    loss = winner.config.loss.model_copy(update={"kind": f"broken_loss:{kind}", "temperature": 2.0})
    return Candidate(name, winner.config.model_copy(update={"loss": loss}), winner.seeds[:1], winner.source)


class Breaking(Watcher):
    """Raises at the first report."""

    is_essential = True

    def __init__(self, error: Exception):
        self.errors = [error]

    def trial_reported(self, record: TrialRecord) -> None:
        if self.errors:
            raise self.errors.pop()
