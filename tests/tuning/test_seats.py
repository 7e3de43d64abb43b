"""Whose fault it is where the processes of a confirmation die, played through with seats that are no actors."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions

from distill_tune.config import Space
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.books.history import History
from distill_tune.tuning.books.ledger import Ledger
from distill_tune.tuning.books.logbook import Logbook
from distill_tune.tuning.books.records import Status, TrialRecord
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.verdict import seats as module
from distill_tune.tuning.verdict.confirmation import Candidate
from distill_tune.tuning.verdict.seats import WEIGHTS, Seats

SPACE = Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, "search": {"max_epochs": 2}})
DEATH = "the process died"


class PlayedRay:
    """As much of Ray as seats use."""

    exceptions = ray.exceptions

    @staticmethod
    def wait(references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return references, []

    @staticmethod
    def get(reference: Any) -> Any:
        if reference == DEATH:
            raise ray.exceptions.ActorDiedError
        return reference


class PlayedSeat:
    """Dies of some trainings, and is gone for good after so many deaths."""

    def __init__(self, dies_of: str, lives: int = 100):
        self.dies_of, self.lives = dies_of, lives
        self.ready = SimpleNamespace(remote=lambda: "up" if self.lives else DEATH)
        self.train = SimpleNamespace(options=lambda num_returns: SimpleNamespace(remote=self._train))

    def _train(self, asked: list[Any]) -> Iterator[Any]:
        for assignment in asked:
            if self.dies_of in assignment.trial_id:
                self.lives -= 1
                yield DEATH
            for epoch in (1, 2):
                yield assignment.trial_id, [{"epoch": epoch, "val/accuracy": 0.5, "val/loss": 1.0}], None


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ray", PlayedRay)


def confirmed(folder: Path, names: str, *places: PlayedSeat) -> list[Status]:
    """How a sitting ends, with what earlier ones have left; the names are of candidates with one seed."""
    logbook = Logbook(folder)
    known, ledger = History.of(folder).confirmations, Ledger(watchers=[logbook])
    logbook.knows(known)
    nothing: Any = None
    seats = Seats(len(places), nothing, SPACE.config.resources, folder, ledger, Budget(9), known)
    seats._seats = list(places)
    try:
        seats.train([Candidate(name, SPACE.config, [1000], TrialRecord(1, name, {})) for name in names])
    finally:
        logbook.release()
    return [ledger.records[f"confirm-{name}-seed1000"].status for name in names]


def left(folder: Path) -> list[Status]:
    """What the logbook says, once the weights of whoever is complete lie there."""
    records = History.of(folder).confirmations
    for name in [name for name, record in records.items() if record.status is Status.COMPLETED]:
        (folder / WEIGHTS).mkdir(exist_ok=True)
        (folder / WEIGHTS / f"{name}.safetensors").touch()
    return [record.status for record in records.values()]


@pytest.mark.parametrize("places", [1, 2])
def test_who_ends_its_process_each_time_fails_where_others_come_to_their_end(tmp_path: Path, places: int) -> None:
    ends = confirmed(tmp_path, "pbc", *(PlayedSeat("confirm-p-") for _ in range(places)))
    assert ends == [Status.FAILED, Status.COMPLETED, Status.COMPLETED]


def test_where_whatever_is_trained_dies_there_is_no_outcome_and_resume_takes_it_up(tmp_path: Path) -> None:
    with pytest.raises(
        DistillTuneError, match=r"could not be finished: ActorDiedError: .*task; --resume takes it up\."
    ):
        confirmed(tmp_path, "ab", PlayedSeat("confirm-"))
    assert left(tmp_path) == [Status.RUNNING, Status.RUNNING]
    assert confirmed(tmp_path, "ab", PlayedSeat("nobody")) == [Status.COMPLETED, Status.COMPLETED]


def test_what_no_seat_is_left_for_is_trained_by_the_next_sitting(tmp_path: Path) -> None:
    with pytest.raises(DistillTuneError, match="--resume takes it up"):
        confirmed(tmp_path, "abc", PlayedSeat("confirm-b-", lives=1))
    assert left(tmp_path) == [Status.COMPLETED, Status.RUNNING]
    assert confirmed(tmp_path, "abc", PlayedSeat("nobody")) == [Status.COMPLETED] * 3


def test_who_is_the_last_and_dies_in_two_sittings_does_not_keep_the_confirmation_from_its_end(tmp_path: Path) -> None:
    with pytest.raises(DistillTuneError, match="--resume takes it up"):
        confirmed(tmp_path, "az", PlayedSeat("confirm-z-"))
    assert left(tmp_path) == [Status.COMPLETED, Status.RUNNING]
    assert confirmed(tmp_path, "az", PlayedSeat("confirm-z-")) == [Status.COMPLETED, Status.FAILED]
