"""Storage of the study: Optuna's journal with a single writer, and with paused trials."""

from __future__ import annotations

import copy
import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from distill_tune.tuning.samplers import RUNGS
from distill_tune.tuning.state.appender import Appender


class SearchJournal(BaseJournalBackend):
    """Optuna's journal file with a single writer: no lock, and no fsync per entry.

    An entry is in the kernel's hands when a call returns, so it survives a killed process; waiting for the disk some
    fifteen times per trial costs more than training a small one.
    """

    def __init__(self, path: Path):
        self._path = path
        self._reader, self._appender = JournalFileBackend(str(path)), Appender()

    @property
    def num_bytes(self) -> int:
        """Length of the file.

        Raises:
            OSError: an entry could not be written.
        """
        self._appender.check()
        return self._path.stat().st_size

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number onward."""
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries in one write."""
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with self._path.open("ab", buffering=0) as file:
            self._appender.append(file.fileno(), data)


class SearchStorage(JournalStorage):
    """Optuna's journal storage, which shows paused trials as pruned although they have not ended yet."""

    def __init__(self, path: Path):
        self.journal = SearchJournal(path)
        super().__init__(self.journal)
        self._paused: dict[int, FrozenTrial] = {}
        """Paused trials by number, as they are shown."""
        self.has_queue = False
        """Whether a trial with fixed values is enqueued; Optuna scans all trials for one at each proposal."""

    def pause(self, trial: FrozenTrial) -> None:
        """Show a running trial as pruned, with its values so far, until `end`."""
        shown = copy.copy(trial)
        shown.state = TrialState.PRUNED
        self._paused[trial.number] = shown

    def end(self, number: int) -> None:
        """Show a trial as it is again."""
        self._paused.pop(number, None)

    def find_paused(self, study: optuna.Study) -> None:
        """Find the paused trials of earlier sessions: those recorded as running that have values."""
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.intermediate_values or RUNGS in trial.user_attrs:
                self.pause(trial)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As in Optuna, with paused trials shown as pruned."""
        if states == (TrialState.WAITING,) and not self.has_queue:
            return []
        if not self._paused or not (states is None or TrialState.RUNNING in states or TrialState.PRUNED in states):
            return super().get_all_trials(study_id, deepcopy, states)
        trials = super().get_all_trials(study_id, deepcopy=False)
        for number, shown in self._paused.items():
            trials[number] = shown
        found = trials if states is None else [trial for trial in trials if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found
